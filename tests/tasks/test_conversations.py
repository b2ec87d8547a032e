"""Conversations, written as lists of (role, text); a text that begins with "call:" is a tool call."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.data.examples import Example
from distil_dagster.data.messages import Message, ToolCall
from distil_dagster.tasks.conversations import (
    answers,
    exchanges_or_whole,
    single_turns,
    student_prompt,
    user_text,
    whole_conversation,
)

ROLES = ["system", "user", "assistant", "tool"]


def conversation(*turns: tuple[str, str]) -> list[Message]:
    return [message(role, text) for role, text in turns]


def message(role: str, text: str) -> Message:
    if text.startswith("call:"):
        return Message(role=role, tool_calls=(ToolCall(name=text.removeprefix("call:")),))
    return Message(role=role, content=text)


def texts(messages) -> list[str]:
    return [turn.content or turn.answer for turn in messages]


@st.composite
def conversations(draw) -> list[Message]:
    turns = st.tuples(st.sampled_from(ROLES), st.sampled_from(["", " ", "hello", "more", "call:look_up"]))
    drawn = draw(st.lists(turns, max_size=12))
    return conversation(*[(role, "" if text[:4] == "call" and role != "assistant" else text) for role, text in drawn])


def test_each_answered_user_turn_is_an_exchange():
    found = single_turns(
        conversation(
            ("user", "When do you open?"),
            ("assistant", "At nine."),
            ("user", "And on Sundays?"),
            ("assistant", "Not at all."),
            ("user", "Thanks."),
        )
    )
    assert [texts(exchange) for exchange in found] == [
        ["When do you open?", "At nine."],
        ["And on Sundays?", "Not at all."],
    ]


def test_of_several_assistant_messages_the_last_that_says_something_is_the_answer():
    found = single_turns(
        conversation(("user", "q"), ("assistant", "One moment."), ("assistant", "At nine."), ("assistant", " "))
    )
    assert [texts(exchange) for exchange in found] == [["q", "At nine."]]


def test_what_a_tool_said_on_the_way_to_an_answer_is_not_part_of_the_exchange():
    found = single_turns(
        conversation(("user", "q"), ("assistant", "call:look_up"), ("tool", "09:00"), ("assistant", "At nine."))
    )
    assert [texts(exchange) for exchange in found] == [["q", "At nine."]]


def test_a_tool_call_is_an_answer():
    (exchange,) = single_turns(conversation(("user", "q"), ("assistant", "call:look_up")))
    assert exchange[-1].tool_calls[0].name == "look_up"


def test_a_leading_system_message_goes_with_every_exchange():
    found = single_turns(
        conversation(("system", "Be brief."), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"))
    )
    assert [texts(exchange) for exchange in found] == [["Be brief.", "a", "b"], ["Be brief.", "c", "d"]]


def test_a_system_message_in_the_middle_goes_with_none():
    found = single_turns(conversation(("user", "a"), ("system", "Be brief."), ("assistant", "b")))
    assert [texts(exchange) for exchange in found] == [["a", "b"]]


@pytest.mark.parametrize(
    "turns",
    [
        [],
        [("system", "Be brief.")],
        [("user", "q")],
        [("assistant", "Hello.")],
        [("user", " "), ("assistant", "a")],
        [("user", "q"), ("assistant", "")],
        [("assistant", "Hello."), ("user", "q")],
    ],
)
def test_where_nobody_asks_or_nobody_answers_there_is_nothing(turns):
    assert single_turns(conversation(*turns)) == []
    assert whole_conversation(conversation(*turns)) is None
    assert exchanges_or_whole(conversation(*turns), single_turn=True) == []
    assert exchanges_or_whole(conversation(*turns), single_turn=False) == []


def test_the_whole_conversation_ends_on_its_last_answer():
    turns = conversation(
        ("system", "Be brief."),
        ("assistant", "Hello."),
        ("user", "q"),
        ("assistant", "call:look_up"),
        ("tool", "09:00"),
        ("assistant", "At nine."),
        ("assistant", " "),
        ("user", "Thanks."),
    )
    assert whole_conversation(turns) == tuple(turns[:6])


def test_a_question_behind_the_last_answer_does_not_count():
    assert whole_conversation(conversation(("assistant", "Hello."), ("user", "q"))) is None


def test_a_conversation_is_cut_or_stays_whole_as_asked():
    turns = conversation(("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"))
    assert exchanges_or_whole(turns, single_turn=True) == [tuple(turns[:2]), tuple(turns[2:])]
    assert exchanges_or_whole(turns, single_turn=False) == [tuple(turns)]


@given(conversations())
def test_every_exchange_asks_something_and_answers_it(messages):
    for exchange in single_turns(messages):
        *before, question, answer = exchange
        assert [turn.role for turn in before] in ([], ["system"])
        assert question.role == "user"
        assert question.content.strip()
        assert answers(answer)


@given(conversations())
def test_a_whole_conversation_is_a_beginning_that_ends_on_an_answer(messages):
    whole = whole_conversation(messages)
    if whole is None:
        assert single_turns(messages) == []
    else:
        assert whole == tuple(messages[: len(whole)])
        assert answers(whole[-1])
        assert not any(answers(turn) for turn in messages[len(whole) :])


@given(conversations())
def test_no_question_gives_two_exchanges(messages):
    asked = [turn for turn in messages if turn.role == "user" and turn.content.strip()]
    assert len(single_turns(messages)) <= len(asked)


def test_what_the_users_said_is_one_text():
    turns = conversation(("system", "s"), ("user", "Hi."), ("assistant", "Hello."), ("user", "When?"), ("user", ""))
    assert user_text(turns) == "Hi.\nWhen?"
    assert user_text([]) == ""


def test_the_system_prompt_comes_first_and_a_kept_system_message_joins_it():
    example = Example(
        messages=tuple(
            conversation(("system", "Be brief."), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"))
        )
    )
    assert student_prompt("Answer.", example) == [
        {"role": "system", "content": "Answer.\n\nBe brief."},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
