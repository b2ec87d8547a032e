"""What the simulated models know: one protocol, so that a role never asks which task or folder it plays for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol


@dataclass(frozen=True)
class Scores:
    """How well a trace fits the job and how sound it is, each 1 to 5, and why."""

    relevance: int
    coherence: int
    reason: str


@dataclass(frozen=True)
class QuestionAnswer:
    """An example as generation writes it."""

    question: str
    answer: str


class Knowledge(Protocol):
    """Answers of one folder. Every method gives the same for the same arguments."""

    @property
    def classes(self) -> tuple[str, ...]:
        """What examples can be generated of: the classes of a classification."""

    def answer(self, question: str) -> str | None:
        """The right answer; `None` where it is not known."""

    def other_answer(self, question: str, random: Random) -> str:
        """A plausible answer that is not the right one; a guess where the right one is not known."""

    def relevance_and_coherence(self, messages: Sequence[Mapping[str, Any]]) -> Scores:
        """Scores of a logged conversation."""

    def generate(
        self, class_name: str, count: int, random: Random, exemplars: Sequence[QuestionAnswer]
    ) -> list[QuestionAnswer]:
        """`count` new examples of a class, none of them an exemplar."""


def normalised(text: str) -> str:
    """The text without the differences that a log may add: letter case and whitespace, also before punctuation."""
    words = " ".join(text.casefold().split())
    for mark in ".,!?;:":
        words = words.replace(f" {mark}", mark)
    return words
