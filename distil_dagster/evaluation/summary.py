"""The evaluation of several models on the same rows: figures with intervals, paired comparisons, verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distil_dagster.errors import DataError
from distil_dagster.evaluation.metrics import BINARY_METRICS, metric_title
from distil_dagster.evaluation.predictions import ModelPredictions, ModelRole
from distil_dagster.evaluation.statistics import Comparison, Estimate, compare, estimate
from distil_dagster.evaluation.verdicts import (
    MeanScores,
    StudentVerdict,
    TeacherVerdict,
    student_verdict,
    teacher_verdict,
)
from distil_dagster.tasks.base import TaskKind

_COMPARED: tuple[tuple[ModelRole, ModelRole], ...] = (
    ("original", "base"),
    ("teacher", "original"),
    ("teacher", "base"),
    ("sft", "base"),
    ("sft", "original"),
    ("sft", "teacher"),
    ("rlvr", "base"),
    ("rlvr", "original"),
    ("rlvr", "teacher"),
    ("rlvr", "sft"),
)


@dataclass(frozen=True)
class Evaluation:
    """Everything that was found out about the models of one run.

    `estimates[model][metric]` is absent where no score is known; `comparisons[first, second][metric]` is absent where
    the two models share no scored row.
    """

    models: Mapping[ModelRole, ModelPredictions]
    metrics: tuple[str, ...]
    primary_metric: str
    kind: TaskKind
    estimates: Mapping[ModelRole, Mapping[str, Estimate]]
    comparisons: Mapping[tuple[ModelRole, ModelRole], Mapping[str, Comparison]]
    teacher_verdict: TeacherVerdict
    student_verdict: StudentVerdict
    delivered: ModelRole

    @property
    def tuned(self) -> ModelPredictions:
        """The student that is delivered: after RLVR where that helped, else after SFT."""
        return self.models[self.delivered]


def evaluate(
    models: Sequence[ModelPredictions],
    metrics: Sequence[str],
    primary_metric: str,
    kind: TaskKind = "text",
    *,
    delivered: ModelRole = "sft",
    seed: int = 0,
) -> Evaluation:
    """Sum up the predictions of teacher, base and tuned student, and of the original model where there is one.

    `delivered` is the tuned student that the verdict is about. Metrics that no model was scored in are left out.

    Raises:
        DataError: a needed model is missing, the models were not given the same rows, or a model has no known score in
            the primary metric.
    """
    by_role = {model.model: model for model in models}
    _require_same_rows(by_role, delivered)
    first_rows = [row for model in models for row in model.rows[:1]]
    scored = tuple(metric for metric in metrics if any(metric in row.scores for row in first_rows))
    estimates = {role: _estimates(model, scored, seed) for role, model in by_role.items()}
    means = _primary_means(by_role, estimates, primary_metric, delivered)
    return Evaluation(
        models=by_role,
        metrics=scored,
        primary_metric=primary_metric,
        kind=kind,
        estimates=estimates,
        comparisons=_comparisons(by_role, scored, seed),
        teacher_verdict=teacher_verdict(means.teacher, primary_metric, kind),
        student_verdict=student_verdict(means, primary_metric, kind),
        delivered=delivered,
    )


def _require_same_rows(models: Mapping[ModelRole, ModelPredictions], delivered: ModelRole) -> None:
    missing = sorted({"teacher", "base", delivered} - set(models))
    if missing:
        raise DataError(f"no predictions of {', '.join(missing)}: an evaluation needs teacher, base and tuned student")
    rows = {role: [row.id for row in model.rows] for role, model in models.items()}
    if not rows["teacher"]:
        raise DataError("no rows: an evaluation needs a test set")
    different = sorted(role for role, ids in rows.items() if ids != rows["teacher"])
    if different:
        names = ", ".join(different)
        raise DataError(f"{names}: not the rows that the teacher answered; models compare on the same rows only")


def _estimates(model: ModelPredictions, metrics: Sequence[str], seed: int) -> dict[str, Estimate]:
    return {
        metric: estimate(model.scores(metric), metric in BINARY_METRICS, seed)
        for metric in metrics
        if model.known_scores(metric)
    }


def _comparisons(
    models: Mapping[ModelRole, ModelPredictions], metrics: Sequence[str], seed: int
) -> dict[tuple[ModelRole, ModelRole], dict[str, Comparison]]:
    return {
        (first, second): {
            metric: compare(models[first].scores(metric), models[second].scores(metric), metric in BINARY_METRICS, seed)
            for metric in metrics
            if _share_rows(models[first], models[second], metric)
        }
        for first, second in _COMPARED
        if first in models and second in models
    }


def _share_rows(first: ModelPredictions, second: ModelPredictions, metric: str) -> bool:
    pairs = zip(first.scores(metric), second.scores(metric), strict=True)
    return any(a is not None and b is not None for a, b in pairs)


def _primary_means(
    models: Mapping[ModelRole, ModelPredictions],
    estimates: Mapping[ModelRole, Mapping[str, Estimate]],
    metric: str,
    delivered: ModelRole,
) -> MeanScores:
    unknown = sorted(role for role in models if metric not in estimates[role])
    if unknown:
        raise DataError(
            f"{metric_title(metric)} decides the verdict, but no score of it is known for {', '.join(unknown)}: "
            "evaluate again, or decide by another metric"
        )
    return MeanScores(
        student=estimates[delivered][metric].mean,
        teacher=estimates["teacher"][metric].mean,
        base=estimates["base"][metric].mean,
        original=estimates["original"][metric].mean if "original" in models else None,
    )
