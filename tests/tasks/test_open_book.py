import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from distil_dagster.data.examples import Example
from distil_dagster.data.job import JobDescription
from distil_dagster.data.messages import Message
from distil_dagster.tasks.base import GenerationRequest, Invalid, Shown, Unusable, Valid
from distil_dagster.tasks.open_book import Asked, NotAsked, OpenBookQuestionAnswering, read_asked

MENU = "Soup is 4 crowns. Bread comes with it."
TASK = OpenBookQuestionAnswering(JobDescription(task_description="Answer from the menu."))


def example(question: str, answer: str, context: str | None = MENU) -> Example:
    messages = (Message(role="user", content=question), Message(role="assistant", content=answer))
    return Example(messages=messages, context=context)


def conversation(*turns: tuple[str, str]) -> list[Message]:
    return [Message(role=role, content=text) for role, text in turns]


def test_the_student_sees_the_context_before_the_question():
    assert TASK.prompt(example("How much is soup?", "4 crowns")) == [
        {"role": "system", "content": "Answer from the menu."},
        {"role": "user", "content": f"Context: {MENU}\n\nQuestion: How much is soup?"},
    ]
    assert TASK.question_with_context == "Context: {context}\n\nQuestion: {question}"
    assert TASK.context_use == "shown"


def test_only_the_last_question_of_a_conversation_gets_the_context():
    row = Example(
        messages=tuple(
            conversation(
                ("user", "Hi."), ("assistant", "Hello."), ("user", "How much is soup?"), ("assistant", "4 crowns")
            )
        ),
        context=MENU,
    )
    assert [message["content"] for message in TASK.prompt(row)[1:]] == [
        "Hi.",
        "Hello.",
        f"Context: {MENU}\n\nQuestion: How much is soup?",
    ]


def test_braces_in_context_and_question_are_text():
    assert TASK.prompt(example("What is {x}?", "a", context="{question} {0}"))[1]["content"] == (
        "Context: {question} {0}\n\nQuestion: What is {x}?"
    )


def test_judges_and_likeness_get_the_question_without_the_context():
    row = example("How much is soup?", "4 crowns")
    assert TASK.question_text(row) == "How much is soup?"
    assert TASK.similarity_text(row) == "How much is soup?\n4 crowns"


@pytest.mark.parametrize("context", [None, "", " \n"])
def test_an_example_without_a_context_is_invalid(context):
    assert TASK.validate(example("How much is soup?", "4 crowns", context), 100) == Invalid(
        "no_context", "there is no context to answer from"
    )


def test_the_context_counts_towards_the_length():
    row = example("How much?", "4 crowns", context="c" * 83)
    assert TASK.validate(row, 100) == Valid()
    assert TASK.validate(row, 99).reason == "too_long"


@pytest.mark.parametrize(
    "text",
    [
        f"Context: {MENU}\n\nQuestion: How much is soup?",
        f"  Context: {MENU}\n\nQuestion: How much is soup? \n",
        f"context:{MENU}\nquestion:How much is soup?",
        f"CONTEXT :\n{MENU}\n\n\n  QUESTION :\nHow much is soup?",
        f"Context: {MENU}\r\n\r\nQuestion: How much is soup?\r\n",
    ],
)
def test_context_and_question_are_told_apart_whatever_their_spacing_and_letter_case(text):
    assert read_asked(text) == Asked(MENU, "How much is soup?")


def test_of_several_question_marks_the_last_one_counts():
    text = "Context: Leaflet\nQuestion: is it hot?\nAnswer: yes.\n\nQuestion: What is asked here?"
    assert read_asked(text) == Asked("Leaflet\nQuestion: is it hot?\nAnswer: yes.", "What is asked here?")


def test_marks_inside_a_line_are_text():
    text = "Context: The open Question: a talk.\nMy Question: none.\n\nQuestion: Which Context: has it?"
    assert read_asked(text) == Asked("The open Question: a talk.\nMy Question: none.", "Which Context: has it?")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the user's text does not begin with 'Context:' but with ''"),
        ("How much is soup?", "the user's text does not begin with 'Context:' but with 'How much is soup?'"),
        (
            "Contexts: a\nQuestion: b",
            "the user's text does not begin with 'Context:' but with 'Contexts: a\\nQuestion: b'",
        ),
        (f"Context: {MENU} Question: How much?", "no line of the user's text begins with 'Question:'"),
        ("Context:\n\nQuestion: How much?", "nothing stands between 'Context:' and 'Question:'"),
        (f"Context: {MENU}\n\nQuestion: ", "nothing stands after 'Question:'"),
    ],
)
def test_a_text_of_another_shape_is_told_what_it_lacks(text, problem):
    assert read_asked(text) == NotAsked(problem)


@given(st.text(), st.text())
def test_what_the_student_is_shown_can_be_taken_apart_again(context, question):
    assume(context.strip() and question.strip() and "question" not in question.casefold())
    rendered = TASK.prompt(example(question, "a", context))[1]["content"]
    assert read_asked(rendered) == Asked(context.strip(), question.strip())


@given(st.lists(st.sampled_from(["Context:", "Question:", "\n", " ", "a", "\r", ":"])).map("".join))
def test_any_text_is_taken_apart_or_told_what_it_lacks(text):
    parts = read_asked(text)
    assert parts.problem if isinstance(parts, NotAsked) else (parts.context and parts.question)


def test_a_trace_gives_examples_with_context_and_question_apart():
    turns = conversation(("user", f"Context: {MENU}\n\nQuestion: How much is soup?"), ("assistant", "4 crowns"))
    assert TASK.examples_of(turns) == [
        example("How much is soup?", "4 crowns").model_copy(update={"logged_answers": ("4 crowns",)})
    ]


def test_of_several_exchanges_those_that_have_a_context_are_taken():
    turns = conversation(
        ("user", "Hi."),
        ("assistant", "Hello."),
        ("user", "Context: one\nQuestion: first?"),
        ("assistant", "1"),
        ("user", "Context: two\nQuestion: second?"),
        ("assistant", "2"),
        ("user", "Thanks."),
        ("assistant", "Welcome."),
    )
    found = TASK.examples_of(turns)
    assert [(row.context, row.question, row.answer) for row in found] == [
        ("one", "first?", "1"),
        ("two", "second?", "2"),
    ]


def test_a_conversation_that_stays_whole_has_the_context_of_its_last_question():
    turns = conversation(
        ("user", "Context: one\nQuestion: first?"),
        ("assistant", "1"),
        ("user", "Context: two\nQuestion: second?"),
        ("assistant", "2"),
    )
    (row,) = TASK.examples_of(turns, single_turn=False)
    assert (row.context, row.question) == ("two", "second?")
    assert [message["content"] for message in TASK.prompt(row)[1:]] == [
        "Context: one\nQuestion: first?",
        "1",
        "Context: two\n\nQuestion: second?",
    ]


def test_a_trace_without_a_context_is_of_no_use_and_says_so():
    found = TASK.examples_of(conversation(("user", "How much is soup?"), ("assistant", "4 crowns")))
    assert found == Unusable(
        "no_context", "the user's text does not begin with 'Context:' but with 'How much is soup?'"
    )


def test_a_trace_without_an_answer_is_of_no_use_whatever_its_shape():
    found = TASK.examples_of(conversation(("user", "Context: a\nQuestion: b")))
    assert isinstance(found, Unusable)
    assert found.reason == "no_answer"


def test_a_trace_that_is_no_seed_gives_its_context():
    turns = conversation(("user", "Hi."), ("assistant", "Hello."), ("user", f"Context: {MENU}\nQuestion: How much?"))
    assert TASK.unlabelled_text(turns) == MENU
    assert TASK.unlabelled_text(turns[:2]) is None


def test_generated_examples_carry_the_context_that_they_are_about():
    request = GenerationRequest(1, context=MENU)
    rows = {"examples": [{"question": "How much is soup?", "answer": "4 crowns"}]}
    answer = TASK.generated_schema(request).model_validate(rows)
    assert TASK.read_generated(answer, request) == [example("How much is soup?", "4 crowns")]


def test_the_generation_prompt_asks_for_questions_that_the_context_answers():
    shown = Shown(
        positives=[example("Is the tea hot?", "yes", context="Tea is served hot.")],
        unlabelled=["Cake is sold out."],
        guidelines=[("complexity", "medium")],
    )
    assert (
        TASK.generation_prompt(GenerationRequest(3, context=MENU), shown)
        == """\
You write training examples for a small model that will do the job below.

<job>
Answer from the menu.
</job>

The small model sees a context and a question about it. Every new example is a question about this context, with its answer:

<context>
Soup is 4 crowns. Bread comes with it.
</context>

Examples with contexts of their own, for the form and tone of question and answer:

<example>
{"context": "Tea is served hot.", "question": "Is the tea hot?", "answer": "yes"}
</example>

Other contexts of the same kind; no new example is about them:

<unlabelled>
Cake is sold out.
</unlabelled>

Write this many new examples, each different from those above and from each other in content and in wording:

<count>3</count>

<guidelines>
- complexity: medium
- Every question reads like one that a real user would send, and the context alone answers it.
- Every answer follows from the context as the job says, and adds nothing that the context does not hold.
</guidelines>"""  # noqa: E501 - a prompt's line is as long as its sentence
    )


def test_generation_asks_for_json_only_where_answers_are_json():
    request = GenerationRequest(3, context=MENU)
    json_task = OpenBookQuestionAnswering(JobDescription(task_description="Answer."), output_is_json=True)
    assert "- Every answer is valid JSON" in json_task.generation_prompt(request, Shown())
    assert "JSON" not in TASK.generation_prompt(request, Shown())
