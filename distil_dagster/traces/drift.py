"""Drift: whether the traces that came since a student was made are drawn from another distribution than its own.

Re-distilling costs teachers and training; it is worth that where users ask for something else than they did.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from distil_dagster.config.pipeline import DataSettings
from distil_dagster.data.messages import Frozen
from distil_dagster.tasks.base import Task
from distil_dagster.traces.drift_tests import (
    FEWEST_ROWS,
    SMALLEST_EFFECT,
    Outcome,
    TestName,
    label_test,
    length_test,
    text_test,
    unreadable_test,
)
from distil_dagster.traces.drift_wording import label_counts
from distil_dagster.traces.ingest import Traces
from distil_dagster.traces.novelty import Side, old_and_new
from distil_dagster.traces.two_sample import holm

_LENGTH_BINS = 20

Verdict = Literal["drift", "no_drift", "not_decided"]


class DriftTest(Frozen):
    """One test of drift. `p` and what follows from it are none where there was nothing to test; `sentence` says why.

    `corrected_p` is Holm's, over the tests that could be made. The verdict is drift where it is at most the settings'
    `drift_alpha` and `effect` at least `smallest_effect`.
    """

    name: TestName
    statistic: float | None
    p: float | None
    corrected_p: float | None
    effect: float | None
    smallest_effect: float
    verdict: Verdict
    sentence: str
    telling: tuple[str, ...] = ()


class LabelCount(Frozen):
    """How many old and new traces are answered with a class or tool."""

    label: str
    old: int
    new: int


class LengthCount(Frozen):
    """How many old and new texts are at least `start` and less than `end` characters long."""

    start: int
    end: int
    old: int
    new: int


@dataclass(frozen=True)
class Drift:
    """Old traces beside those that came since; `unchanged` counts the old ones that are still there.

    `old_unreadable` and `new_unreadable` are lines that gave no trace.
    """

    tests: list[DriftTest]
    labels: list[LabelCount]
    lengths: list[LengthCount]
    old: int
    new: int
    unchanged: int
    old_unreadable: int
    new_unreadable: int
    alpha: float

    @property
    def drifted(self) -> bool:
        """Whether any test found drift."""
        return bool(self.found)

    @property
    def found(self) -> list[DriftTest]:
        """The tests that found drift."""
        return [test for test in self.tests if test.verdict == "drift"]

    @property
    def decided(self) -> bool:
        """Whether there are enough old and new traces to tell whether users ask for something else."""
        return min(self.old, self.new) >= FEWEST_ROWS


@dataclass(frozen=True)
class Worth:
    """Whether to distil again, and why or why not, as a sentence."""

    worth: bool
    reason: str


def drift_between(
    before: Traces,
    now: Traces,
    task: Task,
    settings: DataSettings,
    *,
    seed: int | None,
    single_turn: bool | None = None,
) -> Drift:
    """Compare the traces that a student was made from with those that came since.

    Both were ingested with the same settings; `single_turn` is the `convert_to_single_turn` among these. Equal inputs
    and seeds give equal results, in whatever order the traces stand; a seed of none counts as 0.
    """
    sides = old_and_new(before, now, task, single_turn)
    old, new, fixed_seed = sides.old, sides.new, seed or 0
    outcomes = [
        text_test(old, new, fixed_seed),
        label_test(old, new, fixed_seed),
        length_test(old, new),
        unreadable_test(old, new),
    ]
    return Drift(
        tests=_judged(outcomes, settings.drift_alpha),
        labels=_label_counts(old, new, task),
        lengths=_length_counts(old, new),
        old=len(old.rows),
        new=len(new.rows),
        unchanged=sides.unchanged,
        old_unreadable=old.unreadable,
        new_unreadable=new.unreadable,
        alpha=settings.drift_alpha,
    )


def worth_it(drift: Drift, settings: DataSettings) -> Worth:
    """Whether the settings ask for a new student.

    Lines that cannot be read are no reason for one: a student learns nothing from them, and the log wants a look.
    """
    if settings.redistil_on == "never":
        return Worth(False, "redistil_on is never.")
    unread = f" {drift.new_unreadable} new lines cannot be used." if drift.new_unreadable else ""
    if drift.new < settings.min_new_traces:
        return Worth(False, f"{drift.new} new traces, fewer than min_new_traces {settings.min_new_traces}.{unread}")
    if settings.redistil_on == "new_traces":
        return Worth(True, f"{drift.new} new traces.")
    asked_otherwise = [test.sentence for test in drift.found if test.name != "unreadable"]
    if asked_otherwise:
        return Worth(True, " ".join(asked_otherwise))
    if drift.drifted:
        return Worth(False, f"What is readable is as before, but look at the log: {drift.found[0].sentence}")
    if not drift.decided:
        return Worth(False, f"Not decided: {drift.tests[0].sentence}")
    return Worth(False, f"The {drift.new} new traces are as the {drift.old} before.")


def _judged(outcomes: Sequence[Outcome], alpha: float) -> list[DriftTest]:
    corrected = iter(holm([outcome.p for outcome in outcomes if outcome.p is not None]))
    return [_test(outcome, None if outcome.p is None else next(corrected), alpha) for outcome in outcomes]


def _test(outcome: Outcome, corrected: float | None, alpha: float) -> DriftTest:
    smallest = SMALLEST_EFFECT[outcome.name]
    verdict: Verdict = "not_decided"
    if corrected is not None and outcome.effect is not None:
        verdict = "drift" if corrected <= alpha and outcome.effect >= smallest else "no_drift"
    return DriftTest(
        name=outcome.name,
        statistic=outcome.statistic,
        p=outcome.p,
        corrected_p=corrected,
        effect=outcome.effect,
        smallest_effect=smallest,
        verdict=verdict,
        sentence=outcome.sentence,
        telling=outcome.telling,
    )


def _label_counts(old: Side, new: Side, task: Task) -> list[LabelCount]:
    """The task's own labels in its order, then others as they come."""
    before, now = label_counts(old), label_counts(new)
    names: Iterable[str] = dict.fromkeys((*task.labels, *sorted({*before, *now})))
    return [LabelCount(label=name, old=before[name], new=now[name]) for name in names]


def _length_counts(old: Side, new: Side) -> list[LengthCount]:
    """Lengths in bins whose ends stand in one ratio, as lengths of texts do."""
    before, now = ([len(row.text) for row in side.rows] for side in (old, new))
    if not before and not now:
        return []
    shortest, longest = min(before + now), max(before + now) + 1
    first = max(1, shortest)
    ratio = (longest / first) ** (1 / _LENGTH_BINS)
    ends = sorted({shortest, *(round(first * ratio**number) for number in range(1, _LENGTH_BINS)), longest})
    return [
        LengthCount(
            start=start,
            end=end,
            old=sum(start <= length < end for length in before),
            new=sum(start <= length < end for length in now),
        )
        for start, end in pairwise(ends)
    ]
