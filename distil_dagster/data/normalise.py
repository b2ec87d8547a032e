"""From the message shapes that logs and files carry to `Message`s."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from distil_dagster.data.messages import Message, Role, ToolCall

UnreadableReason = Literal[
    "not_json",
    "not_utf8",
    "not_an_object",
    "wrong_format",
    "no_messages",
    "bad_message",
    "image_in_text_format",
    "bad_row",
]

_ROLES: dict[str, Role] = {
    **{role: role for role in get_args(Role)},
    "developer": "system",
    "human": "user",
    "gpt": "assistant",
    "ai": "assistant",
    "model": "assistant",
    "function": "tool",
}
_DEEPEST = 100
TOO_DEEP = f"nested deeper than {_DEEPEST} levels"
_IMAGE_URL = re.compile(r"https?://[^\s/]\S*|data:image/[^\s,]+,\s*\S.*", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Unreadable:
    """Something that cannot be read as what it should be, and why."""

    reason: UnreadableReason
    detail: str


def load_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is not JSON, or holds what could not be stored or sent again: NaN, half of a surrogate pair, or
            more than 100 levels of nesting.
    """
    try:
        value = json.loads(text, strict=False)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    if too_deep(value):
        raise ValueError(TOO_DEEP)
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    return value


def too_deep(value: object) -> bool:
    """Whether lists and objects are nested deeper than 100 levels, where walking them could end the program."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return any(isinstance(inner, (Mapping, list, tuple)) for inner in level)


def parse_messages(raw: object, *, images: bool = False) -> tuple[Message, ...] | Unreadable:
    """Read a conversation in OpenAI's form or one of its relatives.

    Takes role names of other formats (`developer`, ShareGPT's `from`/`value`, LangChain's `type`) in any letter case,
    content as a list of parts, null content, the older `function_call`, flat tool calls, and the whole list as a JSON
    string. A model's reasoning is left out. Image parts are read where `images` says so.
    """
    if isinstance(raw, str):
        try:
            raw = load_json(raw)
        except ValueError:
            return Unreadable("no_messages", "messages is a string that is not JSON")
    if not isinstance(raw, (list, tuple)):
        return Unreadable("no_messages", f"messages is {kind_of(raw)}, not a list")
    if not raw:
        return Unreadable("no_messages", "messages is empty")
    if too_deep(raw):
        return Unreadable("bad_message", TOO_DEEP)
    messages = []
    for number, item in enumerate(raw, start=1):
        message = _message(item, images=images)
        if isinstance(message, Unreadable):
            return Unreadable(message.reason, f"message {number}: {message.detail}")
        messages.append(message)
    return tuple(messages)


def strip_leading_system(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The conversation without the system messages at its start."""
    start = next((index for index, message in enumerate(messages) if message.role != "system"), len(messages))
    return tuple(messages[start:])


def role_of(name: object) -> Role | None:
    """The role that a role name of one of the formats stands for."""
    return _ROLES.get(name.strip().lower()) if isinstance(name, str) else None


def kind_of(value: object) -> str:
    """What a JSON value is, for people."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def first_of(values: Mapping[str, Any], *keys: str) -> Any:
    """The value of the first of `keys` that has one; none where none has."""
    return next((values[key] for key in keys if values.get(key) is not None), None)


def _inside(value: object) -> Sequence[object]:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, (list, tuple)) else ()


def _message(raw: object, *, images: bool) -> Message | Unreadable:
    if not isinstance(raw, Mapping):
        return Unreadable("bad_message", f"is {kind_of(raw)}, not an object")
    name = first_of(raw, "role", "from", "type")
    role = role_of(name)
    if role is None:
        return Unreadable("bad_message", f"unknown role {name!r:.80}")
    content = _content(raw.get("content", raw.get("value")), role, images=images)
    if isinstance(content, Unreadable):
        return content
    calls = _tool_calls(raw)
    if isinstance(calls, Unreadable):
        return calls
    call_id = raw.get("tool_call_id")
    return Message(
        role=role,
        content=content.text,
        tool_calls=calls,
        tool_call_id=call_id if isinstance(call_id, str) else None,
        images=content.images,
    )


@dataclass(frozen=True)
class _Content:
    text: str
    images: tuple[str, ...] = ()


def _content(raw: object, role: Role, *, images: bool) -> _Content | Unreadable:
    if raw is None:
        return _Content("")
    if isinstance(raw, str):
        return _Content(raw)
    if role == "tool" and not _are_parts(raw):
        return _Content(json.dumps(raw, ensure_ascii=False, default=str))
    if not isinstance(raw, (list, tuple)):
        return Unreadable("bad_message", f"content is {kind_of(raw)}, not text")
    texts: list[str] = []
    urls: list[str] = []
    for part in raw:
        if _is_reasoning(part):
            continue
        problem = _read_part(part, texts, urls, images=images)
        if problem is not None:
            return problem
    return _Content("\n".join(texts), tuple(urls))


def _read_part(part: object, texts: list[str], urls: list[str], *, images: bool) -> Unreadable | None:
    text = _part_text(part)
    if text is not None:
        texts.append(text)
        return None
    if not isinstance(part, Mapping) or "image" not in str(part.get("type")):
        kind = str(part.get("type")) if isinstance(part, Mapping) else kind_of(part)
        return Unreadable("bad_message", f"content has a part that is not text: {kind:.40}")
    if not images:
        return Unreadable(
            "image_in_text_format", "holds an image, which only observation_format openai_messages_with_images reads"
        )
    url = _image_url(part)
    if url is None:
        return Unreadable("bad_message", "holds an image that is neither a link nor a data: URL")
    urls.append(url)
    return None


def _part_text(part: object) -> str | None:
    if isinstance(part, Mapping):
        part = first_of(part, "text", "refusal")
    return part if isinstance(part, str) else None


def _is_reasoning(part: object) -> bool:
    kind = str(part.get("type")).lower() if isinstance(part, Mapping) else ""
    return "reasoning" in kind or "thinking" in kind


def _are_parts(raw: object) -> bool:
    """Whether a tool's result is content parts: everything else in a list or object is the result's own structure."""
    return isinstance(raw, (list, tuple)) and all(
        isinstance(part, str) or (isinstance(part, Mapping) and isinstance(part.get("type"), str)) for part in raw
    )


def _image_url(part: Mapping[str, Any]) -> str | None:
    """The link or `data:` URL of an image part of OpenAI's two APIs, of Anthropic's, or of Hugging Face's form."""
    image = first_of(part, "image_url", "source", "image", "url")
    if isinstance(image, Mapping) and image.get("type") == "base64":
        url: object = f"data:{image.get('media_type')};base64,{image.get('data')}" if image.get("data") else None
    else:
        url = image.get("url") if isinstance(image, Mapping) else image
    return url.strip() if isinstance(url, str) and _IMAGE_URL.fullmatch(url.strip()) else None


def _tool_calls(message: Mapping[str, Any]) -> tuple[ToolCall, ...] | Unreadable:
    raw = message.get("tool_calls")
    if not raw and message.get("function_call"):
        raw = [{"function": message["function_call"]}]
    if raw is None:
        return ()
    if not isinstance(raw, (list, tuple)):
        return Unreadable("bad_message", f"tool_calls is {kind_of(raw)}, not a list")
    calls = []
    for item in raw:
        call = _tool_call(item)
        if isinstance(call, Unreadable):
            return call
        calls.append(call)
    return tuple(calls)


def _tool_call(raw: object) -> ToolCall | Unreadable:
    function = raw.get("function", raw) if isinstance(raw, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    if not isinstance(raw, Mapping) or not isinstance(function, Mapping) or not isinstance(name, str) or not name:
        return Unreadable("bad_message", "a tool call lacks function.name")
    arguments = first_of(function, "arguments", "args", "parameters") or {}
    try:
        arguments = load_json(arguments if isinstance(arguments, str) else json.dumps(arguments))
    except (ValueError, TypeError, RecursionError):
        return Unreadable("bad_message", f"the arguments of the call of {name:.80} are not JSON")
    if not isinstance(arguments, dict):
        return Unreadable("bad_message", f"the arguments of the call of {name:.80} are {kind_of(arguments)}")
    call_id = raw.get("id")
    return ToolCall(name=name, arguments=arguments, id=call_id if isinstance(call_id, str) else None)
