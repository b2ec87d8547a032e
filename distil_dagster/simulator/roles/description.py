"""Shortens a job description."""

from __future__ import annotations

import re

from distil_dagster.simulator.call import Call, text_block
from distil_dagster.simulator.knowledge import Knowledge
from distil_dagster.simulator.roles.chance import Chance

MOST_CHARACTERS = 400


def compress(call: Call, _knowledge: Knowledge, _chance: Chance) -> dict[str, str]:
    """The first sentences of the `<job>` block, or of the whole prompt where there is none."""
    text = " ".join((text_block(call.prompt, "job") or call.prompt).split())
    kept = ""
    for sentence in re.split(r"(?<=[.!?]) ", text):
        if kept and len(kept) + len(sentence) > MOST_CHARACTERS:
            break
        kept = f"{kept} {sentence}".strip()
    return {"task_description": kept[:MOST_CHARACTERS]}
