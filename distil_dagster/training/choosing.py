"""After reinforcement learning: whether it helped, and so which student is delivered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from distil_dagster.training.curve import CurvePoint

_ENDS = 5
# Smaller changes say nothing, and neither does one row more or less.
_RISE = 0.02
_FALL = 0.02
_ROWS_OF_A_FALL = 2


@dataclass(frozen=True)
class Choice:
    """The stage that is delivered, why in one sentence, and the means that decided; none where they are unknown."""

    ships: Literal["sft", "rlvr"]
    reason: str
    before: float | None = None
    after: float | None = None


def choose(before: Sequence[float | None], after: Sequence[float | None], metric: str) -> Choice:
    """The better student by the scores of the same held-out rows; that of SFT where both are as good.

    Rows whose score is missing before or after count for neither.
    """
    pairs = [(a, b) for a, b in zip(before, after, strict=False) if a is not None and b is not None]
    if not pairs:
        return Choice("sft", f"{metric} on held-out rows is unknown, so nothing shows that RLVR helped")
    first, last = _mean([a for a, _ in pairs]), _mean([b for _, b in pairs])
    figures = f"{metric} on {len(pairs)} rows that no training saw was {first:.3f} before RLVR and {last:.3f} after it"
    if last > first:
        return Choice("rlvr", figures, first, last)
    return Choice("sft", f"{figures}, so it did not help", first, last)


def reward_hacking(curve: Sequence[CurvePoint], rows: int) -> str:
    """Where the reward rose while the metric on `rows` held-out rows fell, a sentence that says so; else nothing.

    The reward's rise is from the mean of the first fifth of the steps to that of the last fifth. The student has then
    learned what pleases the judge and not what is right (J. Skalse et al., "Defining and Characterizing Reward
    Hacking", 2022).
    """
    rewards = [point.reward for point in curve if point.reward is not None]
    measured = [point.held_out for point in curve if point.held_out is not None]
    if len(rewards) < _ENDS or len(measured) < 2:
        return ""
    end = len(rewards) // _ENDS
    rise = _mean(rewards[-end:]) - _mean(rewards[:end])
    fall = measured[0] - measured[-1]
    if rise < _RISE or fall < max(_FALL, _ROWS_OF_A_FALL / max(1, rows)):
        return ""
    return (
        f"the reward rose by {rise:.3f} while the held-out metric fell by {fall:.3f}: the student learned to please "
        "the judge; sharpen llm_as_a_judge_instructions or lower tuning.learning_rate"
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
