"""What the loop still has to get, from whom it may still hope for it, and why it ended where it fell short."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from random import Random

from distil_dagster.synthesis.balance import Subject, shares

EMPTY_ITERATIONS = 3
_NAMES_SHOWN = 3


class Demand:
    """The examples that are missing of each subject, and the subjects that are given up.

    A subject is given up when three iterations in a row that asked for it brought nothing new. With `passes_on`, others
    then have to bring what it still owes. All are given up when `most_in_vain` examples were asked for in a row without
    a single one coming: among thousands of contexts, a teacher that fails at every one must not be paid for each.
    """

    def __init__(self, quotas: Mapping[Subject, int], *, passes_on: bool, most_in_vain: int) -> None:
        self.target = sum(quotas.values())
        self._missing = dict(quotas)
        self._passes_on = passes_on
        self._most_in_vain = most_in_vain
        self._empty: Counter[Subject] = Counter()
        self._given_up: dict[Subject, None] = {}
        self._asked_in_vain = 0
        self._empty_iterations = 0

    def open_quotas(self) -> dict[Subject, int]:
        """What is still to be asked for; nothing where all is there or given up."""
        if self._asked_in_vain >= self._most_in_vain:
            return {}
        return {subject: count for subject, count in self._missing.items() if count and subject not in self._given_up}

    def take(self, subject: Subject) -> bool:
        """Count one example of a subject as there; false where its quota is full."""
        if not self._missing[subject]:
            return False
        self._missing[subject] -= 1
        return True

    def end_iteration(
        self, asked: Sequence[tuple[Subject, int]], brought: AbstractSet[Subject], random: Random
    ) -> None:
        """Give up what was asked for in vain too often; `brought` are the subjects that brought something."""
        self._asked_in_vain = 0 if brought else self._asked_in_vain + sum(count for _, count in asked)
        self._empty_iterations = 0 if brought else self._empty_iterations + 1
        for subject in dict.fromkeys(subject for subject, _ in asked):
            self._empty[subject] = 0 if subject in brought else self._empty[subject] + 1
            if self._empty[subject] >= EMPTY_ITERATIONS:
                self._given_up[subject] = None
        if self._passes_on:
            self._pass_on(random)

    def stopped(self) -> str:
        """Why examples are missing; empty where none is."""
        missing = sum(self._missing.values())
        if not missing:
            return ""
        all_given_up = self._asked_in_vain >= self._most_in_vain
        empty = self._empty_iterations if all_given_up else EMPTY_ITERATIONS
        names = "" if all_given_up else self._names_of_given_up()
        what = f" for {names}" if names else ""
        return f"{missing} of {self.target} examples are missing: {empty} iterations in a row brought nothing new{what}"

    def _pass_on(self, random: Random) -> None:
        """Spread what given-up subjects owe evenly over others, those first that did not come up empty last time."""
        owed = sum(self._missing[subject] for subject in self._given_up)
        left = [subject for subject in self._missing if subject not in self._given_up]
        if not owed or not left:
            return
        heirs = [subject for subject in left if not self._empty[subject]] or left
        random.shuffle(heirs)
        for subject in self._given_up:
            self._missing[subject] = 0
        for subject, share in zip(heirs, shares(owed, [1] * len(heirs)), strict=True):
            self._missing[subject] += share

    def _names_of_given_up(self) -> str:
        names = [self._name_of(subject) for subject in self._given_up if subject.name]
        listed = ", ".join(names[:_NAMES_SHOWN])
        return listed if len(names) <= _NAMES_SHOWN else f"{listed} and {len(names) - _NAMES_SHOWN} more"

    def _name_of(self, subject: Subject) -> str:
        owed = self._missing[subject]
        return f"{subject.name} ({owed} missing)" if owed else subject.name
