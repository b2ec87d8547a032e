"""Worked examples that a model is shown before the question: which ones, and as which turns of the conversation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distil_dagster.data.examples import Example, content_id
from distil_dagster.tasks.base import Task


def draw_shots(task: Task, train: Sequence[Example], count: int, seed: int | None) -> list[Example]:
    """`count` training examples to show, and where the task has classes at least one of each, so possibly more.

    None at all where `count` is 0. They are drawn from the content, so that all phases show the same ones even where
    the seed is null.
    """
    if not count:
        return []
    order = sorted(train, key=lambda example: content_id(seed, example.id))
    first_of_class = {label: example for example in reversed(order) for label in _classes_in(task, example)}
    chosen = list(first_of_class.values())
    rest = [example for example in order if all(example is not taken for taken in chosen)]
    return chosen + rest[: max(0, count - len(chosen))]


def student_turns(task: Task, shots: Sequence[Example]) -> list[dict[str, Any]]:
    """The examples as a student would have met and answered them, without the system prompt."""
    return [turn for shot in shots for turn in (*task.prompt(shot)[1:], task.completion(shot))]


def teacher_turns(task: Task, shots: Sequence[Example]) -> list[dict[str, Any]]:
    """The examples as a teacher would have met and answered them, without the system prompt."""
    return [turn for shot in shots for turn in (*task.teacher_prompt(shot)[1:], task.teacher_completion(shot))]


def _classes_in(task: Task, example: Example) -> tuple[str, ...]:
    return task.labels_in(example) if task.classes else ()
