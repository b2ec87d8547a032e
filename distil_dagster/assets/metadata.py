"""What people see of an artefact in the Dagster UI: counts, tables, the settings in force."""

import base64
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from distil_dagster.config.pipeline import effective
from distil_dagster.data.examples import Example, SetAside
from distil_dagster.data.tables import preview
from distil_dagster.evaluation.charts import length_chart, loss_chart, reward_chart
from distil_dagster.evaluation.metrics import metric_title
from distil_dagster.evaluation.report_input import Chart
from distil_dagster.job import Job
from distil_dagster.llm.client import Client
from distil_dagster.tasks.base import Task
from distil_dagster.traces.drift import Drift
from distil_dagster.training.curve import CurvePoint

Metadata = dict[str, Any]


def settings(job: Job, *sections: str) -> Metadata:
    """The effective settings of the sections that shaped an artefact, and what the configuration warns of."""
    values = effective(job.config)
    shown: Metadata = {f"settings/{section}": dg.MetadataValue.json(values[section]) for section in sections}
    if job.warnings:
        shown["warnings"] = dg.MetadataValue.md("\n".join(f"- {warning}" for warning in job.warnings))
    return shown


def note(text: str) -> Metadata:
    """What there is to say of an artefact, where there is anything."""
    return {"note": text} if text else {}


def spend(client: Client, phase: str) -> Metadata:
    """What a phase bought and what it found in the journal."""
    counts = client.counts(phase)
    return {
        "spend_usd": round(client.spent_usd(phase), 6),
        "answers_bought": counts.bought,
        "answers_from_journal": counts.from_journal,
    }


def table(rows: Iterable[Mapping[str, object]], limit: int = 10) -> dg.MarkdownMetadataValue:
    """The first rows as a Markdown table."""
    return dg.MetadataValue.md(preview(list(rows), limit))


def reasons(rows: Sequence[SetAside]) -> dg.MarkdownMetadataValue:
    """How many rows were set aside for each reason."""
    counts = Counter(row.reason for row in rows).most_common()
    return table([{"reason": reason, "rows": count} for reason, count in counts], limit=50)


def labels(task: Task, examples: Sequence[Example]) -> dg.MarkdownMetadataValue:
    """How many examples there are with each class or tool."""
    if not task.labels:
        return dg.MetadataValue.md("the task has neither classes nor tools")
    counts = Counter(label for example in examples for label in task.labels_in(example))
    kind = "class" if task.classes else "tool"
    return table([{kind: label, "rows": counts[label]} for label in task.labels], limit=200)


def primary_metric(task: Task) -> str:
    """The metric that decides, and why."""
    return f"{metric_title(task.primary_metric)}, because {task.primary_metric_reason}"


def samples(examples: Sequence[Example], limit: int = 8) -> dg.MarkdownMetadataValue:
    """The first examples, question and answer."""
    return table(
        {"question": example.question, "answer": example.answer, "source": example.source}
        for example in examples[:limit]
    )


def picture(path: Path) -> dg.MarkdownMetadataValue:
    """A PNG file, shown in the UI itself."""
    return _shown(path.stem, path.read_bytes())


def loss_curve(curve: Sequence[CurvePoint]) -> dg.MarkdownMetadataValue:
    """The losses over the steps of a training, as a picture."""
    return _chart("loss", loss_chart(curve))


def reward_curve(curve: Sequence[CurvePoint]) -> dg.MarkdownMetadataValue:
    """The rewards over the steps of a reinforcement learning, and what they are worth, as a picture."""
    return _chart("reward", reward_chart(curve))


def length_curve(curve: Sequence[CurvePoint]) -> dg.MarkdownMetadataValue:
    """The length of completions over the steps of a reinforcement learning, as a picture."""
    return _chart("length", length_chart(curve))


def drift_picture(drift: Drift) -> dg.MarkdownMetadataValue:
    """Labels and lengths of the traces before and since, as a picture."""
    from distil_dagster.evaluation.plots import drift_picture as draw

    return _shown("drift", draw(drift))


def _chart(name: str, chart: Chart) -> dg.MarkdownMetadataValue:
    from distil_dagster.evaluation.plots import LIGHT, chart_picture

    return _shown(name, chart_picture(chart, LIGHT))


def _shown(name: str, png: bytes) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md(f"![{name}](data:image/png;base64,{base64.b64encode(png).decode('ascii')})")


def files(folder: Path) -> dg.MarkdownMetadataValue:
    """The files below a folder and their sizes."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    rows = [{"file": str(path.relative_to(folder)), "bytes": path.stat().st_size} for path in found]
    return table(rows, limit=100)
