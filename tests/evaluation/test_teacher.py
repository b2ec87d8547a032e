import json

import pytest

from distil_dagster.data.examples import Example
from distil_dagster.data.messages import Message
from distil_dagster.evaluation.teacher import ask_teacher, draw_shots, few_shot_turns
from distil_dagster.llm.requests import Failed


def example(question: str, answer: str) -> Example:
    return Example(messages=(Message(role="user", content=question), Message(role="assistant", content=answer)))


TRAIN = [example(f"{label} {number}", label) for number in range(4) for label in ("bills", "parcels", "garden")]


@pytest.mark.parametrize(("count", "shown"), [(0, 0), (1, 3), (3, 3), (5, 5), (100, 12)])
def test_at_least_one_example_of_each_class_is_shown_where_any_is(task, count, shown):
    shots = draw_shots(task, TRAIN, count, seed=1)
    assert len(shots) == shown
    assert len({id(shot) for shot in shots}) == shown
    if count:
        assert {shot.answer for shot in shots} == {"bills", "parcels", "garden"}


def test_equal_seeds_show_the_same_examples(task):
    drawn = [[shot.question for shot in draw_shots(task, TRAIN, 4, seed)] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_examples_are_shown_as_turns_in_the_form_that_is_asked_for(task):
    turns = few_shot_turns(task, TRAIN[:1], as_json=True)
    assert turns == [{"role": "user", "content": "bills 0"}, {"role": "assistant", "content": '{"answer": "bills"}'}]
    assert few_shot_turns(task, TRAIN[:1], as_json=False)[1]["content"] == "bills"


def test_the_teacher_sees_the_system_prompt_the_examples_and_the_question(task, scripted):
    client = scripted(lambda _: {"answer": "garden"})
    answers = ask_teacher(task, [example("my roses", "garden")], TRAIN[:2], "deepseek.v3.1", client)
    (request,) = client.asked
    assert [message["role"] for message in request.messages] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ]
    assert request.messages[-1]["content"] == "my roses"
    assert json.loads(request.messages[2]["content"]) == {"answer": "bills"}
    assert (answers.texts, answers.failures) == (["garden"], {})


def test_a_row_without_an_answer_is_empty_and_says_why(task, scripted):
    client = scripted(
        lambda request: (
            Failed("timeout", "too slow", "k") if "7" in request.messages[-1]["content"] else {"answer": "bills"}
        )
    )
    answers = ask_teacher(task, [example("row 6", "bills"), example("row 7", "bills")], [], "deepseek.v3.1", client)
    assert answers.texts == ["bills", ""]
    assert answers.failures == {1: "timeout: too slow"}
