"""What a split of the data looks like: how many rows there are with each label, how long its texts are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import floor

from distil_dagster.data.examples import Example


@dataclass(frozen=True)
class Lengths:
    """Percentiles of lengths in characters."""

    minimum: float
    quarter: float
    median: float
    three_quarters: float
    ninety_fifth: float
    maximum: float


@dataclass(frozen=True)
class SplitStatistics:
    """One split (train, synthetic, test): rows, rows with each label, and how long conversations and answers are.

    `labels` is empty where the task has none; an empty split has no lengths.
    """

    name: str
    rows: int
    labels: Mapping[str, int]
    prompt_lengths: Lengths | None
    answer_lengths: Lengths | None


def split_statistics(
    name: str, examples: Sequence[Example], labels_in: Callable[[Example], Iterable[str]], labels: Sequence[str] = ()
) -> SplitStatistics:
    """Count a split. Every name in `labels` is listed, also at zero rows; other labels follow as they come."""
    counts = Counter(dict.fromkeys(labels, 0))
    counts.update(label for example in examples for label in labels_in(example))
    return SplitStatistics(
        name=name,
        rows=len(examples),
        labels=dict(counts),
        prompt_lengths=_lengths([_prompt_length(example) for example in examples]),
        answer_lengths=_lengths([len(example.answer) for example in examples]),
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie, interpolated linearly between neighbours, as NumPy does it."""
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    below = floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def _prompt_length(example: Example) -> int:
    return sum(len(message.answer) for message in example.prompt) + len(example.context or "")


def _lengths(values: Sequence[int]) -> Lengths | None:
    if not values:
        return None
    return Lengths(*(percentile(values, share) for share in (0.0, 0.25, 0.5, 0.75, 0.95, 1.0)))
