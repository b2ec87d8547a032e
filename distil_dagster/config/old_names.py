"""Names of older configurations that are still read, each with a warning that says what stands in its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Current:
    """A setting under a name of today."""


@dataclass(frozen=True)
class Kept:
    """An older setting that still counts, with the value that it has today."""

    value: Any
    warning: str


@dataclass(frozen=True)
class Ignored:
    """An older setting that nothing reads any more."""

    warning: str


_IGNORED = {
    ("synthgen", "parallel_llm_calls"): (
        "is an old name and is ignored; base.llm_num_parallel_requests says how many requests run at once"
    ),
}
_KEPT = {
    ("trace_processing", "convert_to_single_turn"): (
        "is of older configurations; it still overrides what base.task says about single turns, leave it out to follow "
        "the task"
    ),
}
_RENAMED_TASKS = {"information-extraction": "question-answering"}


def modernised(section: str, key: str, value: Any) -> Current | Kept | Ignored:
    """What a setting of a file means today."""
    if warning := _IGNORED.get((section, key)):
        return Ignored(warning)
    if warning := _KEPT.get((section, key)):
        return Kept(value, warning)
    if (section, key) == ("base", "task") and isinstance(value, str) and value in _RENAMED_TASKS:
        today = _RENAMED_TASKS[value]
        return Kept(today, f"{value} is the old name of {today}, which is used instead")
    return Current()
