"""The tables of a report: what stands in which cell, before anything is formatted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from distil_dagster.evaluation.classification import NOT_A_CLASS, ClassificationReport, classification_report
from distil_dagster.evaluation.metrics import metric_title
from distil_dagster.evaluation.predictions import ROLES, ModelPredictions, ModelRole, Prediction
from distil_dagster.evaluation.statistics import Comparison, Estimate
from distil_dagster.evaluation.summary import Evaluation

DISAGREEMENTS_SHOWN = 20
_STUDENTS: tuple[ModelRole, ...] = ("sft", "rlvr")


@dataclass(frozen=True)
class Cell:
    """One model's figure in one metric; `estimate` is absent where no score is known."""

    model: ModelPredictions
    estimate: Estimate | None
    to_base: Comparison | None
    to_original: Comparison | None
    tuned: bool


@dataclass(frozen=True)
class MetricRow:
    """One metric over all models, in the order original, teacher, base, tuned."""

    title: str
    primary: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class ComparisonRow:
    """One model against another in one metric."""

    first: str
    second: str
    metric: str
    comparison: Comparison


@dataclass(frozen=True)
class MissingVerdicts:
    """A model with verdicts that could not be had: how many of how many, and the reasons, most frequent first."""

    title: str
    missing: int
    rows: int
    reasons: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Answer:
    """What one model answered on one row; `score` is its primary score, None where it is missing."""

    title: str
    text: str
    score: float | None
    valid: bool
    tuned: bool


@dataclass(frozen=True)
class Disagreement:
    """A row on which the tuned student differs from the reference or from the teacher."""

    number: int
    question: str
    context: str | None
    reference: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Disagreements:
    """The first of all rows with a disagreement, worst for the tuned student first."""

    total: int
    rows: int
    shown: tuple[Disagreement, ...]


def models_in_order(evaluation: Evaluation) -> tuple[ModelPredictions, ...]:
    """The models of an evaluation: original, teacher, base, SFT, RLVR, those that there are."""
    return tuple(evaluation.models[role] for role in ROLES if role in evaluation.models)


def metric_rows(evaluation: Evaluation) -> tuple[MetricRow, ...]:
    """A row a metric, the primary metric first."""
    ordered = sorted(evaluation.metrics, key=lambda metric: metric != evaluation.primary_metric)
    return tuple(
        MetricRow(
            title=metric_title(metric),
            primary=metric == evaluation.primary_metric,
            cells=tuple(_cell(evaluation, model, metric) for model in models_in_order(evaluation)),
        )
        for metric in ordered
    )


def comparison_rows(evaluation: Evaluation) -> tuple[ComparisonRow, ...]:
    """The primary metric's paired comparisons, those of the tuned student first."""
    ordered = sorted(evaluation.comparisons.items(), key=lambda item: item[0][0] != evaluation.tuned.model)
    return tuple(
        ComparisonRow(
            first=evaluation.models[first].title,
            second=evaluation.models[second].title,
            metric=metric_title(evaluation.primary_metric),
            comparison=by_metric[evaluation.primary_metric],
        )
        for (first, second), by_metric in ordered
        if evaluation.primary_metric in by_metric
    )


def missing_verdicts(evaluation: Evaluation, metric: str) -> tuple[MissingVerdicts, ...]:
    """The models of which a verdict is missing; none where `metric` is not part of the evaluation."""
    if metric not in evaluation.metrics:
        return ()
    return tuple(
        MissingVerdicts(
            title=model.title,
            missing=model.missing(metric),
            rows=len(model.rows),
            reasons=tuple(_missing_reasons(model, metric).most_common(3)),
        )
        for model in models_in_order(evaluation)
        if model.missing(metric)
    )


def class_report(model: ModelPredictions, classes: Sequence[str]) -> ClassificationReport:
    """One model as a classifier. A reference outside `classes` is listed as a class of its own, after them."""
    references = [row.answer.strip() for row in model.rows]
    unknown = sorted(set(references) - set(classes))
    predictions = [row.prediction if row.valid else NOT_A_CLASS for row in model.rows]
    return classification_report(references, predictions, (*classes, *unknown))


def disagreements(evaluation: Evaluation, limit: int = DISAGREEMENTS_SHOWN) -> Disagreements:
    """The rows on which the tuned student differs from the reference or from the teacher.

    First come those that the teacher has right and the student wrong, then what both have wrong, then other words for
    the same: by the student's primary score less the teacher's, then by the student's, then by row.
    """
    tuned, teacher = evaluation.tuned.rows, evaluation.models["teacher"].rows
    differing = [
        index
        for index, (student_row, teacher_row) in enumerate(zip(tuned, teacher, strict=True))
        if not _meaning(student_row.prediction) == _meaning(student_row.answer) == _meaning(teacher_row.prediction)
    ]

    def badness(index: int) -> tuple[float, float, int]:
        student = _known(tuned[index], evaluation.primary_metric)
        return student - _known(teacher[index], evaluation.primary_metric), student, index

    shown = sorted(differing, key=badness)[:limit]
    return Disagreements(
        total=len(differing), rows=len(tuned), shown=tuple(_disagreement(evaluation, index) for index in shown)
    )


def _cell(evaluation: Evaluation, model: ModelPredictions, metric: str) -> Cell:
    role = model.model
    return Cell(
        model=model,
        estimate=evaluation.estimates[role].get(metric),
        to_base=evaluation.comparisons.get((role, "base"), {}).get(metric),
        to_original=evaluation.comparisons.get((role, "original"), {}).get(metric),
        tuned=role in _STUDENTS,
    )


def _missing_reasons(model: ModelPredictions, metric: str) -> Counter[str]:
    return Counter(row.verdict_reason or "no reason given" for row in model.rows if row.scores.get(metric) is None)


def _meaning(text: str) -> str:
    """What two equal answers share: the same text, or the same JSON, such as a call of a tool in another order."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else text.strip()


def _known(row: Prediction, metric: str) -> float:
    score = row.scores.get(metric)
    return 0.0 if score is None else score


def _disagreement(evaluation: Evaluation, index: int) -> Disagreement:
    row = evaluation.tuned.rows[index]
    return Disagreement(
        number=index + 1,
        question=row.question,
        context=row.context,
        reference=row.answer,
        answers=tuple(
            Answer(
                title=model.title,
                text=model.rows[index].prediction,
                score=model.rows[index].scores.get(evaluation.primary_metric),
                valid=model.rows[index].valid,
                tuned=model.model in _STUDENTS,
            )
            for model in models_in_order(evaluation)
        ),
    )
