"""After reinforcement learning: whether it helped, and so which student is delivered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from distil_dagster.training.curve import CurvePoint

_ENDS = 5
# Changes smaller than these are within what a few rows more or less make.
_RISE = 0.02
_FALL = 0.02


@dataclass(frozen=True)
class Choice:
    """The stage that is delivered, and why in one sentence."""

    ships: Literal["sft", "rlvr"]
    reason: str


def choose(curve: Sequence[CurvePoint], metric: str, rows: int) -> Choice:
    """The better student by the primary metric on `rows` held-out rows; that of SFT where they are equal or unknown."""
    measured = [point.held_out for point in curve if point.held_out is not None]
    if len(measured) < 2:
        return Choice("sft", f"{metric} on held-out rows is unknown, so nothing shows that RLVR helped")
    before, after = measured[0], measured[-1]
    figures = f"{metric} on {rows} rows that no training saw was {before:.3f} before RLVR and {after:.3f} after it"
    if after > before:
        return Choice("rlvr", figures)
    return Choice("sft", f"{figures}, so it did not help")


def reward_hacking(curve: Sequence[CurvePoint]) -> str:
    """Where the reward rose while the held-out metric fell, a sentence that says so; else nothing.

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
    if rise < _RISE or fall < _FALL:
        return ""
    return (
        f"the reward rose by {rise:.3f} while the held-out metric fell by {fall:.3f}: the student learned to please "
        "the judge; sharpen llm_as_a_judge_instructions or lower tuning.learning_rate"
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
