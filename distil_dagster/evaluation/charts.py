"""The pictures of a training: which curves stand in them."""

from __future__ import annotations

from collections.abc import Sequence

from distil_dagster.evaluation.report_input import Chart, Curve
from distil_dagster.training.curve import CurvePoint


def training_charts(sft: Sequence[CurvePoint], rlvr: Sequence[CurvePoint]) -> tuple[Chart, ...]:
    """All charts of the trainings that there were."""
    loss = (loss_chart(sft),) if sft else ()
    return (*loss, reward_chart(rlvr), length_chart(rlvr)) if rlvr else loss


def loss_chart(curve: Sequence[CurvePoint]) -> Chart:
    """Training and held-out loss over the steps."""
    return Chart(
        "Loss of SFT",
        "nats a token",
        _curves({"training": _points(curve, "loss"), "held out": _points(curve, "eval_loss")}),
    )


def reward_chart(curve: Sequence[CurvePoint]) -> Chart:
    """The mean reward over the steps of reinforcement learning, beside what it is to stand for.

    A reward that rises while the metric on held-out rows falls, or while judge and check agree less and less, is a
    reward that is being gamed.
    """
    lines = {
        "reward": _points(curve, "reward"),
        "primary metric, held out": _points(curve, "held_out"),
        "judge and check agree": _points(curve, "agreement"),
    }
    return Chart("Reward of RLVR, and what it is worth", "share", _curves(lines))


def length_chart(curve: Sequence[CurvePoint]) -> Chart:
    """The mean length of completions over the steps of reinforcement learning."""
    return Chart("Length of completions in RLVR", "tokens", _curves({"length": _points(curve, "completion_length")}))


def _points(curve: Sequence[CurvePoint], field: str) -> tuple[tuple[float, float], ...]:
    values = ((point.step, point.model_dump()[field]) for point in curve)
    return tuple((step, value) for step, value in values if value is not None)


def _curves(lines: dict[str, tuple[tuple[float, float], ...]]) -> tuple[Curve, ...]:
    return tuple(Curve(label, points) for label, points in lines.items() if points)
