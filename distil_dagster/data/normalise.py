"""From the message shapes that logs and files carry to `Message`s."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from distil_dagster.data.messages import Message, Role, ToolCall

UnreadableReason = Literal[
    "not_json", "not_utf8", "not_an_object", "wrong_format", "no_messages", "bad_message", "image_in_text_format", "bad_row"
]

_ROLES: dict[str, Role] = {
    **{role: role for role in get_args(Role)},
    "developer": "system",
    "human": "user",
    "gpt": "assistant",
    "model": "assistant",
    "function": "tool",
}


@dataclass(frozen=True)
class Unreadable:
    """Something that cannot be read as what it should be, and why."""

    reason: UnreadableReason
    detail: str


def parse_messages(raw: object) -> tuple[Message, ...] | Unreadable:
    """Read a conversation in OpenAI's form or one of its relatives.

    Takes role names of other formats (`developer`, ShareGPT's `from`/`value`), content as a list of text parts, null
    content, and the whole list as a JSON string.
    """
    if isinstance(raw, str):
        try:
            raw = json.loads(raw)
        except (ValueError, RecursionError):
            return Unreadable("no_messages", "messages is a string that is not JSON")
    if not isinstance(raw, list):
        return Unreadable("no_messages", f"messages is {_kind(raw)}, not a list")
    if not raw:
        return Unreadable("no_messages", "messages is empty")
    messages = []
    for number, item in enumerate(raw, start=1):
        message = _message(item)
        if isinstance(message, Unreadable):
            return Unreadable(message.reason, f"message {number}: {message.detail}")
        messages.append(message)
    return tuple(messages)


def _message(raw: object) -> Message | Unreadable:
    if not isinstance(raw, Mapping):
        return Unreadable("bad_message", f"is {_kind(raw)}, not an object")
    name = raw.get("role", raw.get("from"))
    role = _ROLES.get(name) if isinstance(name, str) else None
    if role is None:
        return Unreadable("bad_message", f"unknown role {name!r}")
    content = _text(raw.get("content", raw.get("value")))
    if isinstance(content, Unreadable):
        return content
    calls = _tool_calls(raw.get("tool_calls"))
    if isinstance(calls, Unreadable):
        return calls
    call_id = raw.get("tool_call_id")
    return Message(role=role, content=content, tool_calls=calls, tool_call_id=call_id if isinstance(call_id, str) else None)


def _text(content: object) -> str | Unreadable:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return Unreadable("bad_message", f"content is {_kind(content)}, not text")
    texts = []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, Mapping) and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif isinstance(part, Mapping) and "image" in str(part.get("type")):
            return Unreadable("image_in_text_format", "holds an image; use observation_format openai_messages_with_images")
        else:
            return Unreadable("bad_message", "content has a part that is not text")
    return "\n".join(texts)


def _tool_calls(raw: object) -> tuple[ToolCall, ...] | Unreadable:
    if raw is None:
        return ()
    if not isinstance(raw, list):
        return Unreadable("bad_message", f"tool_calls is {_kind(raw)}, not a list")
    calls = []
    for item in raw:
        call = _tool_call(item)
        if isinstance(call, Unreadable):
            return call
        calls.append(call)
    return tuple(calls)


def _tool_call(raw: object) -> ToolCall | Unreadable:
    function: Any = raw.get("function") if isinstance(raw, Mapping) else None
    if not isinstance(raw, Mapping) or not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        return Unreadable("bad_message", "a tool call lacks function.name")
    arguments = function.get("arguments") or {}
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            return Unreadable("bad_message", f"the arguments of the call of {function['name']} are not JSON")
    if not isinstance(arguments, dict):
        return Unreadable("bad_message", f"the arguments of the call of {function['name']} are {_kind(arguments)}")
    call_id = raw.get("id")
    return ToolCall(name=function["name"], arguments=arguments, id=call_id if isinstance(call_id, str) else None)


def strip_leading_system(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The conversation without the system messages at its start."""
    start = next((index for index, message in enumerate(messages) if message.role != "system"), len(messages))
    return tuple(messages[start:])


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
