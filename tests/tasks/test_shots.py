import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.data.examples import Example
from distil_dagster.data.job import JobDescription
from distil_dagster.data.messages import Message
from distil_dagster.tasks.classification import Classification
from distil_dagster.tasks.shots import draw_shots, student_turns, teacher_turns

CLASSES = ("bills", "parcels", "garden")
TASK = Classification(JobDescription(task_description="Sort.", classes_description=dict.fromkeys(CLASSES, "")))


def example(question: str, answer: str) -> Example:
    return Example(messages=(Message(role="user", content=question), Message(role="assistant", content=answer)))


TRAIN = [example(f"{label} {number}", label) for number in range(4) for label in CLASSES]


@pytest.mark.parametrize(("count", "shown"), [(0, 0), (1, 3), (3, 3), (5, 5), (100, 12)])
def test_at_least_one_example_of_each_class_is_shown_where_any_is(count, shown):
    shots = draw_shots(TASK, TRAIN, count, seed=1)
    assert len(shots) == shown
    assert len({id(shot) for shot in shots}) == shown
    if count:
        assert {shot.answer for shot in shots} == set(CLASSES)


def test_without_classes_as_many_are_shown_as_asked_for(boat_task, boat_hire):
    train = [boat_hire(seats) for seats in range(2, 8)]
    assert len(draw_shots(boat_task, train, 1, seed=1)) == 1


@given(st.lists(st.sampled_from(TRAIN), max_size=8), st.integers(0, 9), st.none() | st.integers(0, 99))
def test_every_phase_draws_the_same_examples_even_without_a_seed(train, count, seed):
    drawn = draw_shots(TASK, train, count, seed)
    assert draw_shots(TASK, list(train), count, seed) == drawn
    assert all(shot in train for shot in drawn)


def test_another_seed_shows_other_examples():
    assert len({tuple(shot.question for shot in draw_shots(TASK, TRAIN, 4, seed)) for seed in range(5)}) > 1


def test_a_student_is_shown_texts_and_a_teacher_the_form_that_it_is_asked_for():
    asked = {"role": "user", "content": "bills 0"}
    assert student_turns(TASK, TRAIN[:1]) == [asked, {"role": "assistant", "content": "bills"}]
    assert teacher_turns(TASK, TRAIN[:1]) == [asked, {"role": "assistant", "content": '{"answer": "bills"}'}]


def test_a_conversation_is_shown_whole(boat_task, boat_hire):
    student, teacher = student_turns(boat_task, [boat_hire(2)]), teacher_turns(boat_task, [boat_hire(2)])
    assert [turn["role"] for turn in student] == ["user", "assistant", "tool", "user", "assistant"]
    assert student[-1]["tool_calls"][0]["function"] == {
        "name": "hire_boat",
        "arguments": {"boat": "Heron 2", "hours": 3},
    }
    assert [turn["role"] for turn in teacher] == ["user", "assistant", "user", "user", "assistant"]
    assert json.loads(teacher[1]["content"])["answer"] == {"name": "find_boat", "parameters": {"seats": 2}}
