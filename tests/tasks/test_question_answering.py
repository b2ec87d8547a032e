import pytest

from distil_dagster.data.examples import Example
from distil_dagster.data.job import JobDescription
from distil_dagster.data.messages import Message
from distil_dagster.errors import DataError
from distil_dagster.tasks.base import GenerationRequest, Shown, Unusable
from distil_dagster.tasks.question_answering import QuestionAnswering

NOTE = "Note: the ferry leaves at 7.\n\nQuestion: When does the ferry leave?"


@pytest.fixture
def job() -> JobDescription:
    return JobDescription(
        task_description="Answer the question from the note, as briefly as can be.",
        input_description="A short note of a harbour master, then a question about it.",
    )


@pytest.fixture
def task(job) -> QuestionAnswering:
    return QuestionAnswering(job)


def example(question: str, answer: str) -> Example:
    return Example(messages=(Message(role="user", content=question), Message(role="assistant", content=answer)))


def test_the_user_message_is_the_question_verbatim(task):
    assert task.prompt(example(f" {NOTE}\n", "at 7")) == [
        {"role": "system", "content": "Answer the question from the note, as briefly as can be."},
        {"role": "user", "content": f" {NOTE}\n"},
    ]
    assert task.question_with_context is None
    assert task.context_use == "none"


@pytest.mark.parametrize("input_description", [None, "", " \n"])
def test_a_job_that_does_not_describe_its_inputs_is_an_error_that_names_the_key(job, input_description):
    with pytest.raises(DataError, match=r"^job_description\.json: input_description: "):
        QuestionAnswering(job.model_copy(update={"input_description": input_description}))


def test_each_answered_user_turn_of_a_trace_is_one_example(task):
    turns = [("user", NOTE), ("assistant", "at 7"), ("user", "Sure?"), ("assistant", "Yes"), ("user", "Thanks")]
    found = task.examples_of([Message(role=role, content=text) for role, text in turns])
    assert [(row.question, row.answer, row.logged_answers) for row in found] == [
        (NOTE, "at 7", ("at 7",)),
        ("Sure?", "Yes", ("Yes",)),
    ]


def test_a_trace_stays_whole_where_that_is_asked_for(task):
    turns = [("user", NOTE), ("assistant", "at 7"), ("user", "Sure?"), ("assistant", "Yes"), ("user", "Thanks")]
    (row,) = task.examples_of([Message(role=role, content=text) for role, text in turns], single_turn=False)
    assert [message.content for message in row.messages] == [NOTE, "at 7", "Sure?", "Yes"]
    assert row.logged_answers == ("Yes",)


def test_a_trace_without_an_answer_is_of_no_use(task):
    found = task.examples_of([Message(role="user", content=NOTE)])
    assert found == Unusable("no_answer", "no answer to the user that this task could learn from")


def test_a_trace_that_is_no_seed_gives_its_input(task):
    assert task.unlabelled_text(example(NOTE, "at 7").messages) == NOTE
    assert task.unlabelled_text([Message(role="assistant", content="Hello.")]) is None


def test_new_inputs_are_written_from_the_input_description_and_answers_from_the_task_description(job):
    shown = Shown(
        positives=[example(NOTE, '"at 7"')],
        unlabelled=["Note: pier 2 is closed."],
        guidelines=[("length", "short and concise")],
    )
    assert (
        QuestionAnswering(job, output_is_json=True).generation_prompt(GenerationRequest(4), shown)
        == """\
You write training examples for a small model that will do the job below.

<job>
Answer the question from the note, as briefly as can be.
</job>

The job says how an answer follows from an input. What an input holds, and how it is laid out, is said here alone:

<input_description>
A short note of a harbour master, then a question about it.
</input_description>

Examples, for their form and tone:

<example>
{"question": "Note: the ferry leaves at 7.\\n\\nQuestion: When does the ferry leave?", "answer": "\\"at 7\\""}
</example>

Real texts of this kind without an answer, whole inputs or parts of them, for their subjects and wording:

<unlabelled>
Note: pier 2 is closed.
</unlabelled>

Write this many new examples, each different from those above and from each other in content and in wording:

<count>4</count>

<guidelines>
- length: short and concise
- Every input is as the input description says and as real users would send it, and holds all that its answer needs.
- Every answer follows from its input as the job says, in the form that the job asks for.
- Every answer is valid JSON, without a code fence or words around it.
</guidelines>"""
    )


def test_generation_asks_for_json_only_where_answers_are_json(task):
    assert "JSON" not in task.generation_prompt(GenerationRequest(4), Shown())
