"""The chance that a simulated model errs."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from distil_dagster.simulator.comparing import Answer
from distil_dagster.simulator.knowledge import Asked, Knowledge


@dataclass(frozen=True)
class Chance:
    """Draws for one request; seeded by the request, so that the same request always meets the same."""

    random: Random
    error_rate: float

    def errs(self) -> bool:
        """Whether the next answer is a wrong one."""
        return self.random.random() < self.error_rate


def fallible_answer(asked: Asked, knowledge: Knowledge, chance: Chance) -> Answer:
    """The right answer, but a wrong one at the error rate and a guess where the right one is not known."""
    right = knowledge.answer(asked)
    if right is None or chance.errs():
        return knowledge.other_answer(asked, chance.random)
    return right
