"""What the simulated models know: one protocol, so that a role never asks which task or folder it plays for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from distil_dagster.simulator.comparing import Answer
from distil_dagster.simulator.turns import Turn

Row = dict[str, Any]
"""An example as generation writes it: question and answer, or the turns of a conversation."""


@dataclass(frozen=True)
class Scores:
    """How well a trace fits the job and how sound it is, each 1 to 5, and why."""

    relevance: int
    coherence: int
    reason: str


@dataclass(frozen=True)
class Asked:
    """A conversation before the answer that is asked for; `whole` asks for the answers to all its assistant turns."""

    turns: tuple[Turn, ...]
    whole: bool = False


@dataclass(frozen=True)
class Wanted:
    """Which new examples to write: how many, of which class or tool, from which passage.

    `shown` are the exemplars, each as what its users and tools said: none of them is to be given back.
    """

    count: int
    label: str | None = None
    context: str | None = None
    shown: frozenset[str] = frozenset()


class Knowledge(Protocol):
    """Answers of one folder. Every method gives the same for the same arguments and the same state of `random`."""

    def answer(self, asked: Asked) -> Answer | None:
        """The right answer, a list where a whole conversation is asked for; none where it is not known."""

    def other_answer(self, asked: Asked, random: Random) -> Answer:
        """A plausible answer that is not the right one; a guess where the right one is not known."""

    def relevance_and_coherence(self, turns: Sequence[Turn]) -> Scores:
        """Scores of a logged conversation."""

    def examples(self, wanted: Wanted, random: Random) -> list[Row]:
        """New examples with right answers; none where nothing is known of what is wanted."""

    def wrong_examples(self, wanted: Wanted, random: Random) -> list[Row]:
        """New examples whose answers are wrong."""
