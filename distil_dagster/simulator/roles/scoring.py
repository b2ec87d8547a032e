"""Scores traces for relevance and coherence."""

from __future__ import annotations

from typing import Any

from distil_dagster.simulator.call import Call, json_blocks
from distil_dagster.simulator.knowledge import Knowledge
from distil_dagster.simulator.roles.chance import Chance
from distil_dagster.simulator.turns import turns_of


def score(call: Call, knowledge: Knowledge, _chance: Chance) -> dict[str, Any]:
    """One entry for each `<trace id="…">` block of the prompt."""
    scores = []
    for number, messages in json_blocks(call.prompt, "trace"):
        turns = turns_of([message for message in messages if isinstance(message, dict)])
        found = knowledge.relevance_and_coherence(turns)
        scores.append(
            {"id": number, "relevance": found.relevance, "coherence": found.coherence, "reason": found.reason}
        )
    return {"scores": scores}
