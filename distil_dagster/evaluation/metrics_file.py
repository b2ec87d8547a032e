"""`metrics.json`: every figure of a report, unrounded, for programs and for the leaderboard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from distil_dagster.evaluation.classification import ClassificationReport
from distil_dagster.evaluation.metrics import meteor_uses_synonyms
from distil_dagster.evaluation.predictions import ModelPredictions, ModelRole
from distil_dagster.evaluation.report_input import ReportInput
from distil_dagster.evaluation.summary import Evaluation


def metrics_json(report: ReportInput, classification: Mapping[ModelRole, ClassificationReport]) -> str:
    """The figures as indented JSON; NaN and infinity are an error, as JSON has neither."""
    evaluation = report.evaluation
    document = {
        "title": report.title,
        "task": report.task,
        "created": report.created,
        "notices": report.notices,
        "rows": len(evaluation.tuned.rows),
        "conversations": report.conversations,
        "primary_metric": evaluation.primary_metric,
        "primary_metric_reason": report.primary_reason,
        "kind": evaluation.kind,
        "teacher_verdict": asdict(evaluation.teacher_verdict),
        "student_verdict": asdict(evaluation.student_verdict),
        "tuned": evaluation.tuned.model,
        "tuned_reason": report.delivered_reason,
        "models": {role: _model(evaluation, model) for role, model in evaluation.models.items()},
        "comparisons": [
            {"first": first, "second": second, "metric": metric, **asdict(comparison)}
            for (first, second), by_metric in evaluation.comparisons.items()
            for metric, comparison in by_metric.items()
        ],
        "classification": {role: asdict(figures) for role, figures in classification.items()},
        "splits": [asdict(split) for split in report.splits],
        "counts": [asdict(counts) for counts in report.counts],
        "spend": [asdict(spend) for spend in report.spend],
        "settings": [asdict(setting) for setting in report.settings],
        "meteor_uses_synonyms": meteor_uses_synonyms() if "meteor" in evaluation.metrics else None,
    }
    return json.dumps(document, ensure_ascii=True, indent=2, allow_nan=False, default=str) + "\n"


def _model(evaluation: Evaluation, model: ModelPredictions) -> dict[str, Any]:
    return {
        "label": model.label,
        "rows": len(model.rows),
        "invalid": sum(not row.valid for row in model.rows),
        "metrics": {metric: asdict(figure) for metric, figure in evaluation.estimates[model.model].items()},
        "missing": {metric: model.missing(metric) for metric in evaluation.metrics if model.missing(metric)},
    }
