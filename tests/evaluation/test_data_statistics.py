from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.data.examples import Example
from distil_dagster.data.messages import Message
from distil_dagster.evaluation.data_statistics import Lengths, percentile, split_statistics
from distil_dagster.tasks.base import Task


def row(question: str, answer: str, context: str | None = None) -> Example:
    messages = (Message(role="user", content=question), Message(role="assistant", content=answer))
    return Example(messages=messages, context=context)


def test_a_split_counts_rows_and_labels_and_lists_labels_without_rows() -> None:
    rows = [row("a", "pin"), row("b", "pin"), row("c", "other")]
    statistics = split_statistics("train", rows, lambda example: (example.answer,), ("card", "pin"))
    assert (statistics.name, statistics.rows) == ("train", 3)
    assert list(statistics.labels.items()) == [("card", 0), ("pin", 2), ("other", 1)]


def test_lengths_are_percentiles_of_characters_with_the_context() -> None:
    rows = [row("x" * length, "yes", "ctx") for length in (7, 17, 27, 37, 47)]
    statistics = split_statistics("test", rows, lambda _: ())
    assert statistics.labels == {}
    assert statistics.prompt_lengths == Lengths(10, 20, 30, 40, pytest.approx(48), 50)
    assert statistics.answer_lengths == Lengths(3, 3, 3, 3, 3, 3)


def test_an_empty_split_has_no_lengths() -> None:
    statistics = split_statistics("synthetic", [], lambda example: (example.answer,))
    assert (statistics.rows, statistics.prompt_lengths, statistics.answer_lengths) == (0, None, None)


def test_a_conversation_counts_for_each_tool_that_it_calls_and_its_calls_have_a_length(
    boat_task: Task, boat_hire: Callable[[int], Example]
) -> None:
    statistics = split_statistics("test", [boat_hire(2), boat_hire(3)], boat_task.labels_in, boat_task.labels)
    assert statistics.labels == {"find_boat": 2, "hire_boat": 2}
    assert statistics.answer_lengths is not None
    assert statistics.answer_lengths.maximum == len(boat_hire(2).answer)
    shown = sum(len(message.answer) for message in boat_hire(2).messages[:-1])
    assert statistics.prompt_lengths is not None
    assert statistics.prompt_lengths.maximum == shown > sum(len(m.content) for m in boat_hire(2).prompt)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=50), st.floats(0, 1))
def test_percentiles_are_numpys(values: list[int], share: float) -> None:
    assert percentile(values, share) == pytest.approx(float(np.quantile(values, share)))
