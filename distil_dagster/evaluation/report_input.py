"""What a report is made of: facts gathered by the phases before it, none of them formatted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from distil_dagster.evaluation.data_statistics import SplitStatistics
from distil_dagster.evaluation.summary import Evaluation


@dataclass(frozen=True)
class PhaseCounts:
    """How many rows a phase kept, and how many it dropped or changed for each reason."""

    phase: str
    kept: int
    reasons: Mapping[str, int]


@dataclass(frozen=True)
class PhaseSpend:
    """What a phase asked of models: answers paid for, answers found in the journal, tokens, US dollars."""

    phase: str
    paid_answers: int
    journal_answers: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float


@dataclass(frozen=True)
class Setting:
    """A setting that differs from its default: `tuning.learning_rate`, its value and the default."""

    name: str
    value: object
    default: object


@dataclass(frozen=True)
class Curve:
    """One line of a chart: (step, value) points in the order of steps."""

    label: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Chart:
    """A picture of curves over training steps, such as the loss of SFT or the reward of RLVR."""

    title: str
    y_label: str
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class ReportInput:
    """Everything that a report shows. What is empty is left out of it.

    `primary_reason` says why the primary metric decides, as what follows "because". `conversations` is how many test
    conversations the rows were made of, where several were made of one. `classes` makes it a classifier's report, with
    figures a class and a confusion matrix; `label_name` is what the labels of the splits are. `notices` stand at the
    top, for what a reader must know before the figures ("The teacher's answers in this run come from a simulator").
    `delivered_reason` says why the student of this stage is delivered, where there was a choice. `created` is the date
    to show, as text.
    """

    title: str
    task: str
    created: str
    evaluation: Evaluation
    primary_reason: str = ""
    conversations: int | None = None
    classes: tuple[str, ...] = ()
    label_name: str = "class"
    splits: tuple[SplitStatistics, ...] = ()
    counts: tuple[PhaseCounts, ...] = ()
    spend: tuple[PhaseSpend, ...] = ()
    settings: tuple[Setting, ...] = ()
    charts: tuple[Chart, ...] = ()
    delivered_reason: str = ""
    notices: tuple[str, ...] = ()
