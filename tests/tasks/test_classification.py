import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from distil_dagster.data.examples import Example
from distil_dagster.data.job import JobDescription
from distil_dagster.data.messages import Message
from distil_dagster.errors import DataError
from distil_dagster.tasks.base import GenerationRequest, Invalid, Shown, Unusable, Valid
from distil_dagster.tasks.classification import Classification

CLASSES = ["bills", "parcels", "garden"]


def example(question: str, answer: str) -> Example:
    return Example(messages=(Message(role="user", content=question), Message(role="assistant", content=answer)))


def test_the_system_prompt_reads_as_a_person_would_write_it(task):
    assert task.system_prompt() == (
        "Send each letter to the right desk.\n"
        "\n"
        "Classes:\n"
        "- bills: About invoices.\n"
        "- parcels: About deliveries.\n"
        "- garden: About plants.\n"
        "\n"
        "Answer with the name of one class and nothing else."
    )


def test_the_student_sees_system_prompt_and_question_and_answers_with_the_class(task):
    row = example("Where is it?", "parcels")
    assert task.prompt(row) == [
        {"role": "system", "content": task.system_prompt()},
        {"role": "user", "content": "Where is it?"},
    ]
    assert task.completion(row) == {"role": "assistant", "content": "parcels"}


def test_a_system_message_that_was_kept_joins_the_system_prompt(task):
    row = Example(messages=(Message(role="system", content="Be brief."), *example("q", "bills").messages))
    system, user = task.prompt(row)
    assert system["content"].endswith("\n\nBe brief.")
    assert user == {"role": "user", "content": "q"}


@pytest.mark.parametrize(
    "text", ["bills", " bills\n", "Bills", '"bills"', "bills.", "```\nbills\n```", "**bills**", "```text\nbills```"]
)
def test_wrapping_and_letter_case_are_forgiven(task, text):
    assert task.parse_prediction(text).text == "bills"
    assert task.parse_prediction(text).valid


@pytest.mark.parametrize("text", ["", "The class is bills", "bill", "bills parcels", "trees"])
def test_prose_and_unknown_names_are_no_class(task, text):
    parsed = task.parse_prediction(text)
    assert not parsed.valid
    assert "not a class" in parsed.problem


@given(st.text())
def test_any_text_is_parsed(text):
    task = Classification(JobDescription(task_description="t", classes_description=dict.fromkeys(CLASSES, "")))
    assert task.parse_prediction(text).valid == (task.parse_prediction(text).text in CLASSES)


def test_validation_gives_the_reason(task):
    assert task.validate(example("q", "bills"), 100) == Valid()
    assert task.validate(example("q", "Bills"), 100) == Invalid(
        "not_a_class", "'Bills' is none of bills, parcels, garden"
    )
    assert task.validate(example(" ", "bills"), 100).reason == "empty_question"
    assert task.validate(example("q" * 96, "bills"), 100).reason == "too_long"
    assert task.validate(example("q" * 95, "bills"), 100) == Valid()


def test_each_answered_user_turn_is_one_example(task):
    turns = [
        ("user", "Hi"),
        ("assistant", "Hello"),
        ("user", "Where is it?"),
        ("assistant", "Let me see."),
        ("assistant", "parcels"),
        ("user", "Thanks"),
    ]
    found = task.examples_of([Message(role=role, content=text) for role, text in turns])
    assert [(row.question, row.answer) for row in found] == [
        ("Hi", "Hello"),
        ("Where is it?", "parcels"),
    ]


def test_turns_without_text_make_no_example(task):
    turns = [("assistant", "Hello"), ("user", ""), ("assistant", "bills"), ("user", "q"), ("assistant", "")]
    found = task.examples_of([Message(role=role, content=text) for role, text in turns])
    assert found == Unusable("no_answer", "no answer to the user that this task could learn from")


def test_teachers_may_only_answer_with_a_class(task):
    assert task.answer_schema().model_validate({"answer": "bills"}).answer == "bills"
    with pytest.raises(ValidationError):
        task.answer_schema().model_validate({"answer": "trees"})


def test_generated_texts_become_examples(task):
    request = GenerationRequest(2, "bills")
    answer = task.generated_schema(request).model_validate({"examples": [{"question": "q", "answer": "bills"}]})
    assert task.read_generated(answer, request) == [example("q", "bills")]


def test_generated_texts_may_be_of_any_class_and_of_no_other(task):
    schema = task.generated_schema(GenerationRequest(1, "bills"))
    assert schema.model_validate({"examples": [{"question": "q", "answer": "parcels"}]}).examples[0].answer == "parcels"
    with pytest.raises(ValidationError):
        schema.model_validate({"examples": [{"question": "q", "answer": "trees"}]})


def test_classes_are_labels_and_accuracy_decides(task):
    assert task.labels == task.classes == ("bills", "parcels", "garden")
    assert task.label_descriptions["bills"] == "About invoices."
    assert task.labels_in(example("q", "bills")) == ("bills",)
    assert task.primary_metric == task.metrics[0] == "accuracy"


def test_teachers_are_shown_an_answer_in_the_form_that_is_asked_of_them(task):
    assert task.teacher_completion(example("q", "bills")) == {"role": "assistant", "content": '{"answer": "bills"}'}


def test_likeness_looks_at_the_text_alone_as_classes_are_shared(task):
    assert task.similarity_text(example("q", "bills")) == "q"


def test_json_is_never_asked_of_a_class(job):
    task = Classification(job, output_is_json=True)
    assert task.system_prompt() == Classification(job).system_prompt()
    assert task.parse_prediction("bills").valid
    assert task.validate(example("q", "bills"), 100) == Valid()
    request = GenerationRequest(2, "bills")
    assert "JSON" not in task.generation_prompt(request, Shown())


def test_a_job_without_classes_is_an_error_that_names_the_key():
    with pytest.raises(DataError, match="classes_description"):
        Classification(JobDescription(task_description="t"))
