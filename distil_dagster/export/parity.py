"""Whether a delivered model answers as the evaluated one: the same texts to the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from distil_dagster.errors import TrainingError
from distil_dagster.training.rows import Written


@dataclass(frozen=True)
class Alike:
    """Every answer is the same."""

    rows: int
    same: Literal[True] = True

    def __str__(self) -> str:
        return f"all {self.rows} answers are those of the evaluated model"


@dataclass(frozen=True)
class Differs:
    """Some answers are not; `first` is the first row that differs."""

    rows: int
    differing: int
    first: str
    evaluated: str
    delivered: str
    same: Literal[False] = False

    def __str__(self) -> str:
        return (
            f"{self.differing} of {self.rows} answers differ; first row {self.first}: "
            f"{self.delivered!r} where the evaluated model wrote {self.evaluated!r}"
        )


def compare_answers(evaluated: Sequence[Written], delivered: Sequence[Written]) -> Alike | Differs:
    """Compare the answers of two models to the same rows.

    Raises:
        TrainingError: they did not answer the same rows, so nothing can be said.
    """
    if not evaluated or [answer.id for answer in evaluated] != [answer.id for answer in delivered]:
        raise TrainingError("the answers to be compared are not to the same rows")
    pairs = [(left, right) for left, right in zip(evaluated, delivered, strict=True) if left != right]
    if not pairs:
        return Alike(len(evaluated))
    left, right = pairs[0]
    return Differs(len(evaluated), len(pairs), left.id, left.text, right.text)
