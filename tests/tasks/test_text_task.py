"""What holds for all tasks whose answer is a text; the three question-answering tasks stand for them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.data.examples import Example
from distil_dagster.data.job import JobDescription
from distil_dagster.data.messages import Message
from distil_dagster.tasks.base import GenerationRequest, Invalid, Unusable, Valid
from distil_dagster.tasks.closed_book import ClosedBookQuestionAnswering
from distil_dagster.tasks.open_book import OpenBookQuestionAnswering
from distil_dagster.tasks.question_answering import QuestionAnswering
from distil_dagster.tasks.text_task import json_problem, without_fence

TASKS = [QuestionAnswering, OpenBookQuestionAnswering, ClosedBookQuestionAnswering]
JOB = JobDescription(task_description="Answer in one word.", input_description="A note and a question about it.")
EVERY_TASK = pytest.mark.parametrize("task", [kind(JOB) for kind in TASKS], ids=lambda task: task.name)
EVERY_JSON_TASK = pytest.mark.parametrize(
    "task", [kind(JOB, output_is_json=True) for kind in TASKS], ids=lambda task: task.name
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
)
# Texts of anything, lone surrogates included, and texts of the pieces that the parsers look at.
TEXTS = st.text(st.characters()) | st.lists(
    st.sampled_from(["```", "```json\n", "\n", "\r\n", " ", "{}", "[1]", "NaN", '"', "a", "Context:", "Question:"])
).map("".join)


def example(question: str, answer: str, context: str | None = "The shop opens at nine.") -> Example:
    messages = (Message(role="user", content=question), Message(role="assistant", content=answer))
    return Example(messages=messages, context=context)


@EVERY_TASK
def test_a_free_text_has_no_labels_and_the_judge_decides(task):
    assert task.kind == "text"
    assert task.metrics == ("llm_as_a_judge", "exact_match", "rouge_l", "meteor")
    assert task.primary_metric == "llm_as_a_judge"
    assert task.primary_metric_reason
    assert (task.labels, task.classes, task.tools, dict(task.label_descriptions)) == ((), (), (), {})
    assert task.labels_in(example("When?", "nine")) == ()


@EVERY_TASK
def test_the_system_prompt_is_the_task_description(task):
    assert task.system_prompt() == "Answer in one word."


@EVERY_JSON_TASK
def test_the_system_prompt_asks_for_json_where_answers_are_json(task):
    assert task.system_prompt() == "Answer in one word.\n\nAnswer with valid JSON and nothing else."


@EVERY_TASK
def test_teachers_see_what_the_student_sees_and_answer_in_free_text(task):
    row = example("When?", "nine")
    assert task.teacher_prompt(row) == task.relabel_prompt(row) == task.prompt(row)
    assert task.answer_schema() is None
    assert task.relabel_schema() is None
    assert task.completion(row) == task.teacher_completion(row) == {"role": "assistant", "content": "nine"}


@EVERY_TASK
def test_only_the_last_turn_is_learned(task):
    row = example("When?", "nine")
    assert task.turns(row) == [row]


@EVERY_TASK
def test_the_conversation_is_shown_without_the_system_prompt(task):
    row = example("When?", "nine")
    assert task.conversation_shown(row) == task.prompt(row)[1:]


@EVERY_TASK
def test_the_whole_answer_can_be_read_and_replaced(task):
    row = example("When?", "```\nnine\n```")
    assert task.whole_answer(row) == "nine"
    replaced = task.with_whole_answer(row, task.read_relabelled("```\nten\n```").text)
    assert (replaced.question, replaced.answer, replaced.context) == ("When?", "ten", row.context)
    assert task.whole_answer(replaced) == "ten"


@EVERY_TASK
def test_likeness_looks_at_question_and_answer_and_not_at_the_context(task):
    assert task.similarity_text(example("When?", "nine")) == "When?\nnine"
    assert task.question_text(example("When?", "nine")) == "When?"


@EVERY_TASK
def test_validation_gives_the_reason(task):
    assert task.validate(example("When?", "nine"), 100) == Valid()
    assert task.validate(example(" ", "nine"), 100) == Invalid("empty_question", "the user's text is empty")
    assert task.validate(example("When?", "\n"), 100) == Invalid("empty_answer", "the answer is empty")
    assert task.validate(example("When?", "```\n```"), 100) == Invalid("empty_answer", "the answer is empty")


@EVERY_TASK
def test_the_length_is_that_of_all_that_is_read_and_written(task):
    earlier = (Message(role="user", content="Hi."), Message(role="assistant", content="Hello."))
    row = Example(messages=(*earlier, *example("When?", "nine").messages), context="ctx")
    assert task.validate(row, 21) == Valid()
    assert task.validate(row, 20) == Invalid("too_long", "21 characters, more than 20")


@EVERY_JSON_TASK
def test_an_answer_that_is_not_json_is_invalid_where_json_is_asked_for(task):
    assert task.validate(example("When?", '{"opens": "09:00"}'), 100) == Valid()
    problem = task.validate(example("When?", "at nine"), 100)
    assert problem.reason == "not_json"
    assert problem.detail == "the answer is not valid JSON: Expecting value: line 1 column 1 (char 0)"
    assert task.validate(example("When?", ""), 100).reason == "empty_answer"


@EVERY_JSON_TASK
def test_a_prediction_that_is_not_json_keeps_its_text_and_says_what_is_wrong(task):
    parsed = task.parse_prediction(" It opens at nine. ")
    assert (parsed.text, parsed.valid) == ("It opens at nine.", False)
    assert "not valid JSON" in parsed.problem


@EVERY_JSON_TASK
def test_json_is_unwrapped_but_not_reformatted(task):
    assert task.parse_prediction('```json\n{"a":  1}\n```').text == '{"a":  1}'
    assert task.parse_prediction('```json\n{"a":  1}\n```').valid


@EVERY_TASK
def test_json_is_not_looked_for_where_it_is_not_asked_for(task):
    assert task.parse_prediction("{broken").valid
    assert task.validate(example("When?", "{broken"), 100) == Valid()


@EVERY_TASK
@pytest.mark.parametrize("text", ["", " \n", "```\n```", "```json\n\n```"])
def test_an_empty_answer_is_none(task, text):
    parsed = task.parse_prediction(text)
    assert (parsed.text, parsed.valid, parsed.problem) == ("", False, "the answer is empty")


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("output_is_json", [False, True])
@given(text=TEXTS)
def test_any_text_is_parsed_and_a_valid_answer_parses_to_itself(kind, output_is_json, text):
    task = kind(JOB, output_is_json=output_is_json)
    parsed = task.parse_prediction(text)
    assert parsed.valid == (parsed.problem == "")
    if parsed.valid:
        assert task.parse_prediction(parsed.text) == parsed
        assert task.validate(example("q", parsed.text), 10**6) == Valid()


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("output_is_json", [False, True])
@given(question=TEXTS, answer=TEXTS, context=st.none() | TEXTS)
def test_any_example_is_validated_and_shown(kind, output_is_json, question, answer, context):
    task, row = kind(JOB, output_is_json=output_is_json), example(question, answer, context)
    verdict = task.validate(row, 50)
    assert isinstance(verdict, Valid | Invalid)
    system, user = task.prompt(row)
    assert system == {"role": "system", "content": task.system_prompt()}
    assert user["content"].endswith(question)
    if verdict == Valid():
        assert task.parse_prediction(answer).valid


@pytest.mark.parametrize("kind", TASKS)
@given(user=TEXTS, assistant=TEXTS, single_turn=st.sampled_from([None, True, False]))
def test_any_conversation_gives_examples_or_says_why_not(kind, user, assistant, single_turn):
    messages = example(user, assistant).messages
    found = kind(JOB).examples_of(messages, single_turn)
    if isinstance(found, Unusable):
        assert found.detail
    else:
        assert [row.logged_answers for row in found] == [(assistant,)]


@EVERY_TASK
def test_generated_questions_and_answers_become_examples(task):
    request = GenerationRequest(2, context="The shop opens at nine.")
    rows = [{"question": "When?", "answer": "nine"}, {"question": "And then?", "answer": "```\nten\n```"}]
    answer = task.generated_schema(request).model_validate({"examples": rows})
    found = task.read_generated(answer, request)
    assert [(row.question, row.answer) for row in found] == [("When?", "nine"), ("And then?", "ten")]


def test_a_generated_answer_that_is_not_json_is_read_and_then_found_invalid():
    task = QuestionAnswering(JOB, output_is_json=True)
    request = GenerationRequest(1)
    answer = task.generated_schema(request).model_validate({"examples": [{"question": "q", "answer": "nine"}]})
    (row,) = task.read_generated(answer, request)
    assert row.answer == "nine"
    assert task.validate(row, 100).reason == "not_json"


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("nine", "nine"),
        (" nine\n", "nine"),
        ("```\nnine\n```", "nine"),
        ("```nine\nten```", "ten"),
        ("```json\r\n{}\r\n```\r\n", "{}"),
        ("``` c++ \nx = 1\n\ny = 2\n```", "x = 1\n\ny = 2"),
        ("```\nuse ``` for code\n```", "use ``` for code"),
    ],
)
def test_a_fence_around_all_of_a_text_is_taken_off(text, inside):
    assert without_fence(text) == inside


@pytest.mark.parametrize(
    "text",
    [
        "See:\n```\nnine\n```",
        "```\nnine\n```\nas it says",
        "```\nnine\n```\nor\n```\nten\n```",
        "```nine```",
        "```\nnine",
    ],
)
def test_a_fence_around_a_part_of_a_text_stays(text):
    assert without_fence(text) == text


@given(JSON_VALUES)
def test_whatever_python_writes_as_json_is_json(value):
    assert json_problem(json.dumps(value)) is None


@pytest.mark.parametrize("text", ["NaN", "-Infinity", '{"a": Infinity}', "[1,]", "{'a': 1}", "{} {}", "", "True", "01"])
def test_what_only_looks_like_json_is_not(text):
    assert json_problem(text)


def test_numbers_of_any_length_are_json():
    assert json_problem("9" * 5000) is None


def test_what_is_nested_too_deeply_to_be_read_is_not_taken_for_json():
    assert json_problem("[" * 100_000) == "nested too deeply to be read"
