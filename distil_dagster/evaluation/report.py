"""Writes the report of an evaluation: Markdown, HTML, figures, pictures and predictions, into one folder."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distil_dagster.evaluation.classification import NOT_A_CLASS, ClassificationReport
from distil_dagster.evaluation.metrics import JUDGE_METRIC, meteor_uses_synonyms, metric_title
from distil_dagster.evaluation.metrics_file import metrics_json
from distil_dagster.evaluation.plots import DARK, LIGHT, chart_picture, confusion_picture
from distil_dagster.evaluation.predictions import ModelRole, write_predictions
from distil_dagster.evaluation.rendering import render_html, render_markdown
from distil_dagster.evaluation.report_input import ReportInput
from distil_dagster.evaluation.tables import (
    class_report,
    comparison_rows,
    disagreements,
    metric_rows,
    missing_verdicts,
    models_in_order,
)

CONFUSION_FILE = "confusion.png"


@dataclass(frozen=True)
class ReportFiles:
    """Where the parts of a report lie; `pictures` has the confusion matrix first, where there is one."""

    folder: Path
    markdown: Path
    html: Path
    metrics: Path
    pictures: tuple[Path, ...]
    predictions: Mapping[ModelRole, Path]


@dataclass(frozen=True)
class _Picture:
    """A picture in both palettes: the Markdown report shows the light one, the HTML report what the reader prefers."""

    file: str
    title: str
    light: bytes
    dark: bytes

    @property
    def light_url(self) -> str:
        return _data_url(self.light)

    @property
    def dark_url(self) -> str:
        return _data_url(self.dark)


def write_report(report: ReportInput, folder: Path) -> ReportFiles:
    """Write `report.md`, `report.html`, `metrics.json`, PNG pictures and `predictions/<model>.jsonl` into `folder`.

    The HTML file stands alone: its pictures are inside it. The Markdown file shows the pictures beside it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    classification = _classification(report)
    confusion = _confusion_pictures(report, classification)
    charts = [
        _Picture(f"training-{number}.png", chart.title, chart_picture(chart, LIGHT), chart_picture(chart, DARK))
        for number, chart in enumerate(report.charts, start=1)
    ]
    values = _template_values(report, classification) | {"confusion_pictures": confusion, "chart_pictures": charts}
    files = ReportFiles(
        folder=folder,
        markdown=folder / "report.md",
        html=folder / "report.html",
        metrics=folder / "metrics.json",
        pictures=tuple(folder / picture.file for picture in (*confusion, *charts)),
        predictions={role: folder / "predictions" / f"{role}.jsonl" for role in report.evaluation.models},
    )
    _write_text(files.markdown, render_markdown(**values))
    _write_text(files.html, render_html(**values))
    _write_text(files.metrics, metrics_json(report, classification))
    for picture in (*confusion, *charts):
        (folder / picture.file).write_bytes(picture.light)
    for role, path in files.predictions.items():
        write_predictions(report.evaluation.models[role], path)
    return files


def _classification(report: ReportInput) -> dict[ModelRole, ClassificationReport]:
    if not report.classes:
        return {}
    return {role: class_report(model, report.classes) for role, model in report.evaluation.models.items()}


def _confusion_pictures(
    report: ReportInput, classification: Mapping[ModelRole, ClassificationReport]
) -> list[_Picture]:
    """One picture, of the tuned student; none where the task has no classes."""
    tuned = report.evaluation.tuned
    if tuned.model not in classification:
        return []
    figures = classification[tuned.model]
    return [
        _Picture(
            file=CONFUSION_FILE,
            title=f"Confusion matrix: {tuned.title}",
            light=confusion_picture(figures, LIGHT),
            dark=confusion_picture(figures, DARK),
        )
    ]


def _template_values(report: ReportInput, classification: Mapping[ModelRole, ClassificationReport]) -> dict[str, Any]:
    evaluation = report.evaluation
    return {
        "report": report,
        "evaluation": evaluation,
        "models": models_in_order(evaluation),
        "primary_title": metric_title(evaluation.primary_metric),
        "several_a_conversation": report.conversations not in (None, len(evaluation.tuned.rows)),
        "metric_rows": metric_rows(evaluation),
        "comparison_rows": comparison_rows(evaluation),
        "missing_verdicts": missing_verdicts(evaluation, JUDGE_METRIC),
        "classification": classification.get(evaluation.tuned.model),
        "not_a_class": NOT_A_CLASS,
        "disagreements": disagreements(evaluation),
        "splits": [split for split in report.splits if split.rows],
        "labels": _labels(report),
        "total_cost_usd": sum(spend.cost_usd for spend in report.spend),
        "meteor_without_synonyms": "meteor" in evaluation.metrics and not meteor_uses_synonyms(),
    }


def _labels(report: ReportInput) -> list[str]:
    """All labels of all splits, in the order in which they first appear."""
    return list(dict.fromkeys(label for split in report.splits for label in split.labels))


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


def _write_text(path: Path, text: str) -> None:
    # Lone surrogates, which models can write through JSON escapes, have no UTF-8 form.
    path.write_bytes(text.encode("utf-8", "replace"))
