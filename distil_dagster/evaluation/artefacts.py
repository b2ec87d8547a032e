"""What the evaluation phases hand on, in the form in which it is stored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from distil_dagster.data.messages import Frozen
from distil_dagster.evaluation.metrics import JUDGE_METRIC
from distil_dagster.evaluation.predictions import ModelPredictions, ModelRole, Prediction
from distil_dagster.evaluation.summary import Evaluation
from distil_dagster.evaluation.tables import models_in_order


@dataclass(frozen=True)
class TeacherEvaluation:
    """The teacher's predictions on the test rows and the verdict on it as a teacher."""

    rows: list[Prediction]
    model: str
    verdict: str
    metric: str
    score: float
    sentence: str
    failures: int

    @property
    def unread_verdicts(self) -> int:
        """How many rows the judge was asked about and gave no verdict on."""
        return sum(JUDGE_METRIC in row.scores and row.scores[JUDGE_METRIC] is None for row in self.rows)

    def predictions(self) -> ModelPredictions:
        """The rows as predictions of the teacher."""
        return ModelPredictions(model="teacher", label=self.model, rows=tuple(self.rows))


class ModelSummary(Frozen):
    """Mean scores of one model by metric; a metric without a known score is absent.

    `unread_verdicts` counts the rows that the judge gave no verdict on.
    """

    role: ModelRole
    title: str
    model: str
    means: dict[str, float]
    unread_verdicts: int


@dataclass(frozen=True)
class EvalReport:
    """The report's folder and the figures that other assets and the leaderboard read.

    `report` holds report.html, report.md, metrics.json and predictions/. `rows` were evaluated, made of so many
    `conversations`. `shipped` is the stage that is delivered.
    """

    report: Path
    title: str
    rows: int
    conversations: int
    summary: list[ModelSummary]
    metrics: tuple[str, ...]
    primary_metric: str
    verdict: str
    sentence: str
    shipped: ModelRole
    notices: tuple[str, ...]

    def mean(self, role: ModelRole, metric: str | None = None) -> float | None:
        """A model's mean score, in the primary metric unless another is named."""
        name = metric or self.primary_metric
        return next((row.means.get(name) for row in self.summary if row.role == role), None)

    @property
    def tuned(self) -> float | None:
        """The mean of the student that is delivered, in the primary metric."""
        return self.mean(self.shipped)


def summarise(evaluation: Evaluation) -> list[ModelSummary]:
    """Mean scores of every model, in the order of the report."""
    return [
        ModelSummary(
            role=model.model,
            title=model.title,
            model=model.label,
            means={metric: estimate.mean for metric, estimate in evaluation.estimates[model.model].items()},
            unread_verdicts=model.missing(JUDGE_METRIC) if JUDGE_METRIC in evaluation.metrics else 0,
        )
        for model in models_in_order(evaluation)
    ]
