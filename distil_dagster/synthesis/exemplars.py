"""What a generation call shows: some of what is asked for, some of other classes, some without an answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from distil_dagster.config.sections import Synthgen
from distil_dagster.data.examples import Example
from distil_dagster.data.folder import UnstructuredRow
from distil_dagster.synthesis.balance import Subject
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
        self._with: defaultdict[str, list[Example]] = defaultdict(list)
        self._without: defaultdict[str, list[Example]] = defaultdict(list)
        for example in train:
            labels = task.labels_in(example)
            for label in labels:
                self._with[label].append(example)
            for other in set(task.classes).difference(labels):
                self._without[other].append(example)

    def draw(self, subject: Subject, settings: Synthgen, random: Random) -> Exemplars:
        """Exemplars for one call; where there are fewer than asked for, all there are.

        Only classes have counter-examples. A call about a context shows others as its unlabelled texts, never that one.
        """
        label = subject.label
        same = self._train if label is None else self._with[label]
        others = [] if label is None else self._without[label]
        unlabelled = settings.num_unlabelled_exemplars_per_generation
        shown = subject.context.text if subject.context else None
        one_more = _sample(self._unstructured, unlabelled + 1, random)
        return Exemplars(
            _sample(same, settings.num_positive_exemplars_per_generation, random),
            _sample(others, settings.num_negative_exemplars_per_generation, random),
            [row for row in one_more if row.text != shown][:unlabelled],
        )


def _sample(rows: Sequence[_Row], count: int, random: Random) -> list[_Row]:
    return random.sample(rows, min(count, len(rows)))
