"""The examples that a generation call shows: some of the class asked for, some of others, some without an answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from distil_dagster.config.sections import Synthgen
from distil_dagster.data.examples import Example
from distil_dagster.data.folder import UnstructuredRow
from distil_dagster.tasks.base import Task

_Row = TypeVar("_Row")


@dataclass(frozen=True)
class Exemplars:
    """What one call shows."""

    positives: list[Example]
    negatives: list[Example]
    unlabelled: list[UnstructuredRow]

    @property
    def sources(self) -> tuple[str, ...]:
        """Where they came from, for provenance."""
        labelled = (*self.positives, *self.negatives)
        return (*(example.source for example in labelled), *(row.source for row in self.unlabelled))


class ExemplarPool:
    """Draws exemplars from the training seeds and the unlabelled texts; test rows are never shown."""

    def __init__(self, task: Task, train: Sequence[Example], unstructured: Sequence[UnstructuredRow]) -> None:
        self._train = list(train)
        self._unstructured = list(unstructured)
        self._by_label: defaultdict[str | None, list[Example]] = defaultdict(list)
        for example in train:
            self._by_label[task.label(example)].append(example)

    def draw(self, label: str | None, settings: Synthgen, random: Random) -> Exemplars:
        """Exemplars for one call; where there are fewer than asked for, all there are.

        Tasks without labels have no negatives: every seed is a positive.
        """
        same = self._train if label is None else self._by_label[label]
        others = [] if label is None else [e for key, rows in self._by_label.items() if key != label for e in rows]
        return Exemplars(
            _sample(same, settings.num_positive_exemplars_per_generation, random),
            _sample(others, settings.num_negative_exemplars_per_generation, random),
            _sample(self._unstructured, settings.num_unlabelled_exemplars_per_generation, random),
        )


def _sample(rows: Sequence[_Row], count: int, random: Random) -> list[_Row]:
    return random.sample(rows, min(count, len(rows)))
