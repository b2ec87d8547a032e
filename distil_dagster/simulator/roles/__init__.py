"""The roles that a simulated model plays, one module a kind, under the name of the JSON schema that asks for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from distil_dagster.simulator.call import FREE_TEXT, Call
from distil_dagster.simulator.knowledge import Knowledge
from distil_dagster.simulator.roles.aggregation import aggregate
from distil_dagster.simulator.roles.answering import answer, answer_in_free_text, repair
from distil_dagster.simulator.roles.chance import Chance
from distil_dagster.simulator.roles.description import compress
from distil_dagster.simulator.roles.generation import generate
from distil_dagster.simulator.roles.judging import judge
from distil_dagster.simulator.roles.scoring import score

Role = Callable[[Call, Knowledge, Chance], dict[str, Any] | str]

__all__ = ["ROLES", "Chance", "play"]

ROLES: Mapping[str, Role] = {
    "trace_scores": score,
    "compressed_job_description": compress,
    "answer": answer,
    "aggregated_answer": aggregate,
    "repaired_answer": repair,
    "generated_examples": generate,
    "verdict": judge,
    FREE_TEXT: answer_in_free_text,
}


def play(call: Call, knowledge: Knowledge, chance: Chance) -> str:
    """The content of the assistant message that answers `call`, whose role must be one of `ROLES`."""
    content = ROLES[call.role](call, knowledge, chance)
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
