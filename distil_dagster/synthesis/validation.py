"""Whether a generated example may enter the dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from distil_dagster.config.sections import Synthgen
from distil_dagster.data.examples import Example
from distil_dagster.synthesis.similarity import Match, SimilarityIndex, Vocabulary
from distil_dagster.tasks.base import Invalid, RejectReason, Task


@dataclass(frozen=True)
class Accepted:
    """The example satisfies its task and is like no other."""


@dataclass(frozen=True)
class Rejected:
    """The example is not taken, and why."""

    reason: RejectReason
    detail: str


class Validator:
    """Checks generated examples against the task, the seeds, the test set and what was accepted before."""

    def __init__(self, task: Task, train: Sequence[Example], test: Sequence[Example], settings: Synthgen) -> None:
        self._task = task
        self._max_total_length = settings.validation_max_total_length
        self._threshold = settings.validation_similarity_threshold
        self._vocabulary = Vocabulary()
        self._against: dict[RejectReason, SimilarityIndex] = {
            # The test set comes first: a row that gives it away must be counted as such.
            "similar_to_test": self._index(test),
            "similar_to_seed": self._index(train),
            "similar_to_accepted": self._index(()),
        }

    def check(self, example: Example, label: str | None) -> Accepted | Rejected:
        """The verdict on an example that was asked for with `label`; an accepted one must be `remember`ed."""
        verdict = self._task.validate(example, self._max_total_length)
        if isinstance(verdict, Invalid):
            return Rejected(verdict.reason, verdict.detail)
        got = self._task.labels_in(example)
        if label is not None and label not in got:
            return Rejected("label_not_asked_for", f"{', '.join(got)} where {label} was asked for")
        text = self._task.similarity_text(example)
        for reason, index in self._against.items():
            match = index.most_similar(text)
            if match is not None:
                return Rejected(reason, _likeness(match))
        return Accepted()

    def remember(self, name: str, example: Example) -> None:
        """Count an accepted example among those that later ones must differ from."""
        self._against["similar_to_accepted"].add(name, self._task.similarity_text(example))

    def _index(self, examples: Sequence[Example]) -> SimilarityIndex:
        index = SimilarityIndex(self._threshold, self._vocabulary)
        for example in examples:
            index.add(example.source, self._task.similarity_text(example))
        return index


def _likeness(match: Match) -> str:
    return f"ROUGE-L {match.similarity:.3f} to {match.name}"
