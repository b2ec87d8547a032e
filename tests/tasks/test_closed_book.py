from distil_dagster.data.examples import Example
from distil_dagster.data.job import JobDescription
from distil_dagster.data.messages import Message
from distil_dagster.tasks.base import GenerationRequest, Shown, Unusable
from distil_dagster.tasks.closed_book import ClosedBookQuestionAnswering

PASSAGE = "The lighthouse of Norholm was built in 1871 by Ida Brandt."
TASK = ClosedBookQuestionAnswering(JobDescription(task_description="Answer questions about the coast."))


def example(question: str, answer: str) -> Example:
    return Example(messages=(Message(role="user", content=question), Message(role="assistant", content=answer)))


def test_the_student_sees_the_question_and_no_context():
    row = example("Who built the lighthouse of Norholm?", "Ida Brandt").model_copy(update={"context": PASSAGE})
    assert TASK.prompt(row) == [
        {"role": "system", "content": "Answer questions about the coast."},
        {"role": "user", "content": "Who built the lighthouse of Norholm?"},
    ]
    assert TASK.question_with_context is None


def test_generated_examples_keep_nothing_of_the_passage_that_they_come_from():
    request = GenerationRequest(1, context=PASSAGE)
    rows = {"examples": [{"question": "When was the lighthouse of Norholm built?", "answer": "1871"}]}
    (row,) = TASK.read_generated(TASK.generated_schema(request).model_validate(rows), request)
    assert row == example("When was the lighthouse of Norholm built?", "1871")
    assert TASK.context_use == "source"


def test_what_a_user_asks_is_no_knowledge_to_generate_from():
    assert TASK.unlabelled_text(example("Who built it?", "Ida Brandt").messages) is None


def test_each_answered_question_of_a_trace_is_one_example():
    (row,) = TASK.examples_of(example("Who built it?", "Ida Brandt").messages)
    assert (row.question, row.answer, row.context, row.logged_answers) == (
        "Who built it?",
        "Ida Brandt",
        None,
        ("Ida Brandt",),
    )
    assert isinstance(TASK.examples_of([Message(role="user", content="Who built it?")]), Unusable)


def test_the_generation_prompt_demands_questions_that_stand_on_their_own():
    shown = Shown(
        positives=[example("How deep is the bay of Fenn?", "30 metres")],
        unlabelled=["The bay of Fenn is 30 metres deep."],
        guidelines=[("complexity", "medium")],
    )
    assert (
        TASK.generation_prompt(GenerationRequest(3, context=PASSAGE), shown)
        == """\
You write training examples for a small model that will do the job below.

<job>
Answer questions about the coast.
</job>

The small model answers from memory. Every new example teaches it something that this passage says, but it never sees the passage:

<context>
The lighthouse of Norholm was built in 1871 by Ida Brandt.
</context>

Examples from other passages, for the form and tone of question and answer:

<example>
{"question": "How deep is the bay of Fenn?", "answer": "30 metres"}
</example>

Other passages of the same kind; no new example is about them:

<unlabelled>
The bay of Fenn is 30 metres deep.
</unlabelled>

Write this many new examples, each different from those above and from each other in content and in wording:

<count>3</count>

<guidelines>
- complexity: medium
- Every question reads like one that a real user would send, and the passage answers it.
- Every question can be understood without the passage: it names the people, places, things and times that it is about, and speaks of no passage, text or author.
- Every answer is true by the passage, whatever you know besides, and in the form that the job asks for.
</guidelines>"""  # noqa: E501 - a prompt's line is as long as its sentence
    )


def test_generation_asks_for_json_only_where_answers_are_json():
    request = GenerationRequest(3, context=PASSAGE)
    json_task = ClosedBookQuestionAnswering(JobDescription(task_description="Answer."), output_is_json=True)
    assert "- Every answer is valid JSON" in json_task.generation_prompt(request, Shown())
    assert "JSON" not in TASK.generation_prompt(request, Shown())
