"""Answers a question: as committee, teacher or judge's reference, structured or as plain text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from distil_dagster.simulator.call import Call, conversation, text_of
from distil_dagster.simulator.comparing import Answer, canonical
from distil_dagster.simulator.knowledge import Asked, Knowledge
from distil_dagster.simulator.roles.chance import Chance, fallible_answer
from distil_dagster.simulator.turns import turns_of


def answer(call: Call, knowledge: Knowledge, chance: Chance) -> dict[str, Answer]:
    """The answer to the conversation, or all answers of the one that the prompt shows where the schema wants a list."""
    asked = asked_in_block(call) if asks_for_list(call) else Asked(turns_of(_without_repair(call)))
    return {"answer": fallible_answer(asked, knowledge, chance)}


def answer_in_free_text(call: Call, knowledge: Knowledge, chance: Chance) -> str:
    """The answer alone, without a JSON object around it."""
    return canonical(fallible_answer(Asked(turns_of(call.messages)), knowledge, chance))


def repair(call: Call, knowledge: Knowledge, chance: Chance) -> dict[str, Answer]:
    """A valid answer to the `<conversation>` block."""
    return {"answer": fallible_answer(asked_in_block(call), knowledge, chance)}


def asked_in_block(call: Call) -> Asked:
    """The conversation of the `<conversation>` block, whole where the schema wants a list of answers."""
    return Asked(turns_of(conversation(call.prompt)), whole=asks_for_list(call))


def asks_for_list(call: Call) -> bool:
    """Whether the answer that the schema asks for is a list."""
    return bool(_answer_schema(call).get("type") == "array")


def asks_for_text(call: Call) -> bool:
    """Whether the answer that the schema asks for is a text."""
    wanted = _answer_schema(call)
    return not (wanted.keys() & {"$ref", "properties"} or wanted.get("type") in ("array", "object"))


def _answer_schema(call: Call) -> Mapping[str, Any]:
    wanted = call.schema.get("properties", {}).get("answer", {})
    return wanted if isinstance(wanted, dict) else {}


def _without_repair(call: Call) -> tuple[Mapping[str, Any], ...]:
    """The messages without the last two where these are an answer that was not valid and the request for another."""
    if len(call.messages) < 3:
        return call.messages
    *before, failed, again = call.messages
    asks_again = again.get("role") == "user" and "again" in text_of(again).casefold()
    if failed.get("role") == "assistant" and asks_again and not _is_valid(text_of(failed), call):
        return tuple(before)
    return call.messages


def _is_valid(text: str, call: Call) -> bool:
    """Whether an earlier assistant turn is a good example, in JSON or bare, and not a failed answer."""
    from jsonschema import Draft202012Validator

    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if not (isinstance(value, dict) and "answer" in value):
        value = {"answer": value}
    if isinstance(value["answer"], str) and "{" in value["answer"]:
        return False
    return bool(Draft202012Validator(call.schema).is_valid(value))
