from typing import Any

import pytest

from distil_dagster.config.old_names import Current, Ignored, Kept, modernised


def test_parallel_llm_calls_is_ignored_and_names_its_successor() -> None:
    outcome = modernised("synthgen", "parallel_llm_calls", True)

    assert isinstance(outcome, Ignored)
    assert "base.llm_num_parallel_requests" in outcome.warning


@pytest.mark.parametrize("value", [True, False])
def test_convert_to_single_turn_still_counts(value: bool) -> None:
    outcome = modernised("trace_processing", "convert_to_single_turn", value)

    assert isinstance(outcome, Kept)
    assert outcome.value is value


def test_information_extraction_is_question_answering() -> None:
    outcome = modernised("base", "task", "information-extraction")

    assert isinstance(outcome, Kept)
    assert outcome.value == "question-answering"


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("base", "task", "classification"),
        ("base", "task", ["information-extraction"]),
        ("base", "task", None),
        ("base", "parallel_llm_calls", True),
        ("tuning", "learning_rate", 1e-4),
        ("synthgen", "convert_to_single_turn", True),
    ],
)
def test_everything_else_is_of_today(section: str, key: str, value: Any) -> None:
    assert modernised(section, key, value) == Current()
