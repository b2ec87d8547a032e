"""Request bodies in the form that providers take: text arguments, call ids, schemas in words where need be."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from distil_dagster.llm.requests import canonical_json
from distil_dagster.prompts import render

_SCHEMA_WORDS = ("response_format", "json_schema", "json schema", "structured output", "guided")


def chat_messages(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The messages with tool calls as providers want them: arguments as JSON text, and an id for each call."""
    sent: list[dict[str, Any]] = []
    for number, message in enumerate(messages):
        calls = message.get("tool_calls")
        if calls:
            with_text = [_tool_call(call, f"call_{number}_{place}") for place, call in enumerate(calls)]
            sent.append({**message, "tool_calls": with_text})
        else:
            sent.append(dict(message))
    return _answered_calls(sent)


def described_schema(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body with its JSON schema as words in the system message instead of a parameter."""
    rest = dict(body)
    response_format = rest.pop("response_format", None)
    if response_format is None:
        return rest
    text = render("llm/schema", schema=canonical_json(response_format["json_schema"]["schema"]))
    first, *others = body["messages"]
    if first["role"] == "system":
        rest["messages"] = [{**first, "content": f"{first['content']}\n\n{text}"}, *others]
    else:
        rest["messages"] = [{"role": "system", "content": text}, first, *others]
    return rest


def refuses_schema(detail: str) -> bool:
    """Whether a provider's words about a rejected request mean the JSON schema."""
    lowered = detail.lower()
    return any(word in lowered for word in _SCHEMA_WORDS)


def _tool_call(call: Mapping[str, Any], default_id: str) -> dict[str, Any]:
    function = dict(call["function"])
    if not isinstance(function.get("arguments"), str):
        function["arguments"] = json.dumps(function.get("arguments") or {})
    return {"type": "function", "id": default_id, **call, "function": function}


def _answered_calls(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give tool results without an id the id of the call before them."""
    waiting: list[str] = []
    for message in messages:
        if message.get("tool_calls"):
            waiting = [call["id"] for call in message["tool_calls"]]
        elif message["role"] == "tool" and waiting:
            own = message.setdefault("tool_call_id", waiting[0])
            waiting = [name for name in waiting if name != own]
    return messages
