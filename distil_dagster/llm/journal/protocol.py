"""What a journal does, whatever keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from distil_dagster.llm.answers import RawAnswer


@dataclass(frozen=True)
class Entry:
    """One bought answer with the body that it answers, as canonical JSON, and the phase that asked."""

    key: str
    phase: str
    model: str
    request: str
    answer: RawAnswer


@dataclass(frozen=True)
class Paid:
    """What a phase has bought: answers, tokens asked with and written, US dollars."""

    answers: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float


@dataclass(frozen=True)
class Claimed:
    """The answer is not there, and whoever got this is the only one to buy it."""


@dataclass(frozen=True)
class Held:
    """The answer is not there, and another is buying it."""


class Journal(Protocol):
    """Where bought answers are kept: SQLite on one machine; a shared database where several work together."""

    def get_many(self, keys: Sequence[str]) -> dict[str, RawAnswer]:
        """The answers that are there, by key."""
        ...

    def claim(self, key: str) -> Future[Claimed | Held | RawAnswer]:
        """Take the sole right to buy an answer, or the answer where it has come meanwhile.

        A claim lasts until the answer is stored or the claim released, and a while after its owner died.
        """
        ...

    def release(self, key: str) -> None:
        """Give a claim back for which nothing was bought; after a `put` of that key it has no effect."""
        ...

    def put(self, entry: Entry) -> Future[None]:
        """Store an answer; the future is done when the answer would survive a crash. Its claim ends."""
        ...

    def spend(self, phase: str | None = None) -> float:
        """What all answers cost, or those of one phase, in US dollars; unknown prices count as 0."""
        ...

    def spend_by_phase(self) -> dict[str, float]:
        """What each phase has cost, in US dollars."""
        ...

    def paid_by_phase(self) -> dict[str, Paid]:
        """What each phase has bought since the journal began."""
        ...

    def close(self) -> None:
        """Store what is still waiting, give all claims back, and let go of files and connections."""
        ...
