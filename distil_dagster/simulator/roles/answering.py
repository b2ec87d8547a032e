"""Answers an example's question: as committee, teacher or judge's reference, structured or as plain text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from distil_dagster.simulator.call import Call, conversation, last_text, text_of
from distil_dagster.simulator.knowledge import Knowledge
from distil_dagster.simulator.roles.chance import Chance, fallible_answer


def answer(call: Call, knowledge: Knowledge, chance: Chance) -> dict[str, str]:
    """The answer to the last question of the conversation."""
    return {"answer": fallible_answer(_question(call), knowledge, chance)}


def answer_in_free_text(call: Call, knowledge: Knowledge, chance: Chance) -> str:
    """The answer alone, without a JSON object around it."""
    return fallible_answer(last_text(call.messages, "user"), knowledge, chance)


def repair(call: Call, knowledge: Knowledge, chance: Chance) -> dict[str, str]:
    """A valid answer to the question of the `<conversation>` block."""
    question = last_text(conversation(call.prompt), "user")
    return {"answer": fallible_answer(question, knowledge, chance)}


def _question(call: Call) -> str:
    """The last user turn, or the one before it where the last asks to repair an answer that was not valid."""
    users = [place for place, message in enumerate(call.messages) if message.get("role") == "user"]
    if not users:
        return ""
    last = users[-1]
    asks_for_repair = len(users) > 1 and not _is_valid(text_of(call.messages[last - 1]), call.schema)
    return text_of(call.messages[users[-2] if asks_for_repair else last])


def _is_valid(text: str, schema: Mapping[str, Any]) -> bool:
    """Whether an earlier assistant turn is a good example, in JSON or bare, and not a failed answer."""
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    bare = value.get("answer") if isinstance(value, dict) else value
    permitted = schema.get("properties", {}).get("answer", {}).get("enum")
    return bare in permitted if permitted else "{" not in str(bare)
