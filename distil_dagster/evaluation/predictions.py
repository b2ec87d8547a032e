"""What the models answered on the test rows, how each answer scored, and the files that a user downloads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from distil_dagster.data.messages import Frozen

ModelRole = Literal["original", "teacher", "base", "sft", "rlvr"]
ROLES: tuple[ModelRole, ...] = ("original", "teacher", "base", "sft", "rlvr")
ROLE_TITLES: dict[ModelRole, str] = {
    "original": "Original",
    "teacher": "Teacher",
    "base": "Base student",
    "sft": "Tuned (SFT)",
    "rlvr": "Tuned (RLVR)",
}


class Prediction(Frozen):
    """One model's answer to one test row.

    `answer` is the reference, `prediction` what the task read in the model's `raw` text, `valid` whether that is an
    answer at all. `scores` has one entry a metric; None is a score that could not be had (an unreadable verdict).
    `verdict_reason` is the judge's reason, or why its verdict is missing.
    """

    id: str
    question: str
    context: str | None = None
    answer: str
    prediction: str
    raw: str
    valid: bool
    scores: dict[str, float | None]
    verdict_reason: str = ""


class ModelPredictions(Frozen):
    """All answers of one model, in the order of the test rows; `label` is the model's own name."""

    model: ModelRole
    label: str
    rows: tuple[Prediction, ...]

    @property
    def title(self) -> str:
        """What the model is in this evaluation, for people."""
        return ROLE_TITLES[self.model]

    def scores(self, metric: str) -> list[float | None]:
        """The scores of one metric, row by row; None where one is missing."""
        return [row.scores.get(metric) for row in self.rows]

    def known_scores(self, metric: str) -> list[float]:
        """The scores of one metric that could be had."""
        return [score for score in self.scores(metric) if score is not None]

    def missing(self, metric: str) -> int:
        """How many rows have no score of this metric."""
        return self.scores(metric).count(None)


def write_predictions(model: ModelPredictions, path: Path) -> None:
    """Write one JSON object a row: `question`, `answer`, `prediction`, `context`, and one key a metric, unrounded."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for row in model.rows:
            record = {
                "question": row.question,
                "answer": row.answer,
                "prediction": row.prediction,
                "context": row.context,
                **row.scores,
            }
            # A lone surrogate has no UTF-8 form, but its backslash form is exactly JSON's escape for it.
            file.write(json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
