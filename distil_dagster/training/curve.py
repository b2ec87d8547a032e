"""How training went, step by step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from distil_dagster.data.messages import Frozen

FILE_NAME = "training_curve.jsonl"


class CurvePoint(Frozen):
    """What was measured after one step; absent is what was not measured.

    Losses of SFT are in nats a token. `reward` is the mean reward of the completions that could be judged, from 0 to 1,
    `agreement` the share of them on which judge and check against the reference say the same, `completion_length` their
    mean length in tokens. `held_out` is the mean of the primary metric on rows that no training sees.
    """

    step: int
    epoch: float | None = None
    loss: float | None = None
    eval_loss: float | None = None
    reward: float | None = None
    agreement: float | None = None
    held_out: float | None = None
    completion_length: float | None = None
    learning_rate: float | None = None
    grad_norm: float | None = None
    tokens_per_second: float | None = None


def curve_of(log_history: Iterable[Mapping[str, Any]]) -> list[CurvePoint]:
    """The curve in a trainer's log; a step measured both in training and on held-out rows has two points."""
    known = CurvePoint.model_fields.keys()
    measured = ({key: value for key, value in entry.items() if key in known} for entry in log_history)
    return [CurvePoint(**entry) for entry in measured if entry.keys() & {"loss", "eval_loss", "reward", "held_out"}]
