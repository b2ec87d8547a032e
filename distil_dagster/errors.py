"""Errors that name what the user did, where, and what would be right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class DistilError(Exception):
    """Base of every error that this package raises on purpose; its text is fit to be shown as it is."""


def in_words(error: Exception) -> str:
    """What to show of an error: its text, and its type where nobody raised it on purpose."""
    return str(error) if isinstance(error, DistilError | OSError) else f"{type(error).__name__}: {error}"


@dataclass(frozen=True)
class Problem:
    """One mistake in a file: where it stands, what stands there and what would be right."""

    file: str
    line: int | None
    key: str
    message: str
    value: object = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.key}: {self.message}"


class ConfigError(DistilError):
    """A configuration that cannot be used; carries every problem found, not just the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class DataError(DistilError):
    """Input files that cannot be used: a missing file, a wrong shape, too few rows."""


class ProviderError(DistilError):
    """A model provider that refuses or fails persistently; everything bought so far is in the journal."""


class BudgetError(DistilError):
    """The next request could exceed the budget; everything bought so far is in the journal."""


class TrainingError(DistilError):
    """The training program could not do its work; says which parameter or file to change."""
