import pytest
from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.data.examples import Example
from distil_dagster.data.messages import Message
from distil_dagster.traces.identity import as_read, example_key, text_key


def asks(*questions, context=None):
    turns = [
        message
        for q in questions
        for message in (Message(role="user", content=q), Message(role="assistant", content="a"))
    ]
    return Example(messages=tuple(turns), context=context)


@pytest.mark.parametrize("text", [" WHERE s  it ", "where's it!\n", "Where's it"])
def test_letter_case_punctuation_and_spacing_tell_no_questions_apart(text):
    assert example_key(asks("Where's it?")) == example_key(asks(text)) == text_key(text)


def test_the_same_question_about_another_passage_is_another_question():
    assert example_key(asks("Who wrote it?", context="A book.")) != example_key(
        asks("Who wrote it?", context="A song.")
    )


def test_every_user_turn_before_the_answer_counts():
    assert example_key(asks("Hello", "Where is it?")) != example_key(asks("Where is it?"))


def test_a_context_that_no_student_sees_is_no_part_of_what_is_asked(task):
    assert as_read(asks("Where?", context="A note for readers."), task) == asks("Where?")


@given(st.text(), st.text())
def test_keys_of_any_texts_are_stable_under_case(one, other):
    assert (text_key(one) == text_key(other)) or text_key(one + other) is not None
    assert text_key(text_key(one)) == text_key(one)
