"""From the raw texts of a model to scored predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from distil_dagster.data.examples import Example
from distil_dagster.evaluation.judging import Judge, JudgeCase, Judged, Unread
from distil_dagster.evaluation.metrics import JUDGE_METRIC, TEXT_METRICS, Metric
from distil_dagster.evaluation.predictions import ModelPredictions, ModelRole, Prediction
from distil_dagster.evaluation.tool_metrics import tool_metrics
from distil_dagster.progress import Progress
from distil_dagster.tasks.base import Parsed, Task
from distil_dagster.tasks.toolbox import Toolbox


class ReadsPredictions(Protocol):
    """The part of a task that scoring needs."""

    @property
    def metrics(self) -> Sequence[str]:
        """The names of the metrics that apply, in the order to show them."""

    def parse_prediction(self, text: str) -> Parsed:
        """The answer in what a model wrote."""

    def question_text(self, example: Example) -> str:
        """What is asked, as one text for judges and readers."""


def metrics_for(task: Task) -> Mapping[str, Metric]:
    """How each metric is computed: those of texts and, where the job has tools, those of calls."""
    return {**TEXT_METRICS, **tool_metrics(Toolbox(task.tools))} if task.tools else TEXT_METRICS


def reference_check(task: Task) -> Metric | None:
    """The primary metric where it compares with the reference alone; none where only a judge can tell right from wrong.

    It is 1.0 or 0.0.
    """
    return None if task.primary_metric == JUDGE_METRIC else metrics_for(task)[task.primary_metric]


def score_predictions(
    task: ReadsPredictions,
    rows: Sequence[Example],
    texts: Sequence[str],
    judge: Judge | None,
    *,
    model: ModelRole,
    label: str,
    metrics: Mapping[str, Metric] = TEXT_METRICS,
    progress: Progress | None = None,
) -> ModelPredictions:
    """Score what one model wrote on each test row, in the task's metrics.

    `texts` are raw, row by row; `metrics` says how each name is computed. Without a judge the judge's score is left out
    altogether; with one, a verdict that cannot be had is None and its reason stands in `verdict_reason`.

    Raises ValueError for sequences of different lengths, KeyError for a metric that nobody computes.
    """
    parsed = [task.parse_prediction(text) for text in texts]
    questions = [task.question_text(row) for row in rows]
    computed = [name for name in task.metrics if name != JUDGE_METRIC]
    scores: list[dict[str, float | None]] = [
        {name: metrics[name](row.answer, answer) for name in computed} for row, answer in zip(rows, parsed, strict=True)
    ]
    reasons = [""] * len(scores)
    if judge is not None and JUDGE_METRIC in task.metrics:
        judgements = judge.judge(list(map(_case, rows, questions, parsed)), progress=progress)
        reasons = [judgement.reason for judgement in judgements]
        for row_scores, judgement in zip(scores, judgements, strict=True):
            row_scores[JUDGE_METRIC] = _score(judgement)
    return ModelPredictions(
        model=model,
        label=label,
        rows=tuple(map(_prediction, rows, questions, texts, parsed, scores, reasons)),
    )


def _case(row: Example, question: str, answer: Parsed) -> JudgeCase:
    return JudgeCase(question=question, reference=row.answer, prediction=answer.text, context=row.context)


def _score(judgement: Judged | Unread) -> float | None:
    return judgement.score if isinstance(judgement, Judged) else None


def _prediction(
    row: Example, question: str, text: str, parsed: Parsed, scores: dict[str, float | None], verdict_reason: str
) -> Prediction:
    return Prediction(
        id=row.id,
        question=question,
        context=row.context,
        answer=row.answer,
        prediction=parsed.text,
        raw=text,
        valid=parsed.valid,
        scores=scores,
        verdict_reason=verdict_reason,
    )
