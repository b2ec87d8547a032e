"""Judges a prediction against its reference."""

from __future__ import annotations

from distil_dagster.simulator.call import Call, text_block
from distil_dagster.simulator.comparing import says_the_same
from distil_dagster.simulator.knowledge import Knowledge
from distil_dagster.simulator.roles.chance import Chance


def judge(call: Call, _knowledge: Knowledge, _chance: Chance) -> dict[str, str]:
    """Good where prediction and reference say the same but for form, bad otherwise."""
    reference, prediction = (text_block(call.prompt, tag) for tag in ("reference", "prediction"))
    if says_the_same(reference, prediction):
        return {"reason": "The prediction equals the reference.", "verdict": "good"}
    return {"reason": "The prediction differs from the reference.", "verdict": "bad"}
