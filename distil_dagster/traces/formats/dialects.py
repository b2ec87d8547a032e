"""Messages of other frameworks, rewritten into OpenAI's form: LangChain, Gemini, Anthropic, OpenTelemetry, Vercel.

Only the shape changes here; what cannot be read stays as it is, and the parser of OpenAI's form says what is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from distil_dagster.data.normalise import first_of, load_json, role_of

_CONTENTS = ("content", "value", "parts", "tool_calls", "function_call", "additional_kwargs")
_TEXTS = {"text", "input_text", "output_text", "refusal"}
_CALLS = {"tool_call", "tool-call", "tool_use", "function_call"}
_RESULTS = {"tool_call_response", "tool_result", "tool-result", "function_call_output"}
# Before `id`, which may name the item itself: the key by which calls and results name each other.
_IDS = ("call_id", "tool_use_id", "toolCallId", "tool_call_id", "id")
_MEDIA = ("image", "audio", "video", "file", "document", "reasoning", "thinking")


def as_openai_form(messages: Iterable[Any]) -> list[Any]:
    """The conversation in OpenAI's form; a message may become several, or none.

    Some frameworks list the definitions of tools among the messages: those go. Some name a tool's result by the tool
    instead of the role `tool`. Calls that stand alone, one item each, are one message of the assistant.
    """
    written: list[Any] = []
    called: set[str] = set()
    for raw in messages:
        for message in _rewritten(raw):
            if _is_named_by_its_tool(message, called):
                message = {**message, "role": "tool"}
            called |= _names_of_calls(message)
            if written and _is_lone_call(raw) and _holds_only_calls(written[-1]):
                written[-1] = {**written[-1], "tool_calls": [*written[-1]["tool_calls"], *message["tool_calls"]]}
            else:
                written.append(message)
    return written


def is_message(raw: Mapping[str, Any]) -> bool:
    """Whether an object is a message, a call, or a result, in one of the forms that `as_openai_form` rewrites."""
    if _is_lone_call(raw) or _is_lone_result(raw) or _is_reasoning(raw) or _unwrapped(raw) is not raw:
        return True
    if isinstance(first_of(raw, "role", "from"), str):
        return any(key in raw for key in _CONTENTS)
    return bool(raw.get("tool_calls")) or (_langchain_role(raw) is not None and "content" in raw)


def is_part(raw: object) -> bool:
    """Whether an object is a part of a message's content, not a message of its own."""
    return isinstance(raw, Mapping) and "role" not in raw and (_is_text(raw) or "image" in _type_of(raw))


def _rewritten(raw: Any) -> list[Any]:
    if not isinstance(raw, Mapping):
        return [raw]
    if _is_lone_call(raw):
        return [{"role": "assistant", "tool_calls": [_call_in(raw)]}]
    if _is_lone_result(raw):
        return [_result_in(raw)]
    message = _unwrapped(raw)
    if _is_reasoning(raw) or _defines_a_tool(message.get("content")):
        return []
    parts = _parts(message)
    return [message] if parts is None else _split(message, parts)


def _unwrapped(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """LangChain's messages, serialised in one of its three ways, as one object with a role."""
    role = _langchain_role(raw)
    held = first_of(raw, "kwargs", "data")
    if isinstance(held, Mapping) and "content" in held and (role or _langchain_role(held)):
        return _unwrapped({**held, "role": role or _langchain_role(held)})
    if role and "role" not in raw and "content" in raw:
        return _unwrapped({**raw, "role": role})
    extra = raw.get("additional_kwargs")
    if isinstance(extra, Mapping):
        calls = {key: extra[key] for key in ("tool_calls", "function_call") if extra.get(key) and not raw.get(key)}
        return {**{key: value for key, value in raw.items() if key != "additional_kwargs"}, **calls}
    return raw


def _langchain_role(raw: Mapping[str, Any]) -> str | None:
    """The role in the name of a message's type or class: `human`, `AIMessageChunk`, `[…, "SystemMessage"]`."""
    path = raw.get("id")
    name = path[-1] if isinstance(path, list) and path and "lc" in raw else raw.get("type")
    if not isinstance(name, str):
        return None
    return role_of(name.lower().removesuffix("chunk").removesuffix("message"))


# Parts of a message


def _parts(message: Mapping[str, Any]) -> list[Any] | None:
    """The parts of a message's content; none where it is plain text."""
    content = message["parts"] if "parts" in message else message.get("content")
    if isinstance(content, Mapping):
        content = content["parts"] if isinstance(content.get("parts"), list) else [content]
    if isinstance(content, list):
        return content
    if isinstance(content, str):
        calls = _list_in(content)
        return calls if calls and all(_call_in(call) for call in calls) else None
    return None if content is None else [content]


def _split(message: Mapping[str, Any], parts: Sequence[Any]) -> list[Any]:
    """Tool results become messages of their own, in front of what else the message says; calls are the assistant's."""
    calls: list[Any] = []
    results: list[Any] = []
    others: list[Any] = []
    for part in parts:
        call, result = _call_in(part), _result_in(part)
        if call is not None:
            calls.append(call)
        elif result is not None:
            results.append(result)
        elif not (isinstance(part, Mapping) and part.get("thought") is True):
            others.append(part)
    rest = {key: value for key, value in message.items() if key not in ("parts", "content")}
    if calls:
        stated = message.get("tool_calls")
        rest |= {"role": "assistant", "tool_calls": [*(stated if isinstance(stated, list) else ()), *calls]}
    if results and not calls and not others:
        return results
    logged = others if calls or results else message.get("content", others)
    return [*results, {**rest, "content": _content(others, logged)}]


def _content(parts: list[Any], logged: object) -> Any:
    """Parts of text and images as OpenAI writes them; what is neither was a text, which the export read as JSON."""
    if all(isinstance(part, str) or _is_known(part) for part in parts):
        return [_text_part(part) for part in parts]
    return json.dumps(logged, ensure_ascii=False, default=str)


def _is_known(part: object) -> bool:
    return isinstance(part, Mapping) and (_is_text(part) or any(word in _type_of(part).lower() for word in _MEDIA))


def _is_text(part: Mapping[str, Any]) -> bool:
    return _type_of(part) in _TEXTS or part.keys() == {"text"}


def _type_of(part: Mapping[str, Any]) -> str:
    kind = part.get("type")
    return kind if isinstance(kind, str) else ""


def _text_part(part: Any) -> Any:
    if isinstance(part, Mapping) and _type_of(part) == "text" and "text" not in part:
        return {"type": "text", "text": part.get("content")}
    return part


# Calls of tools and their results


def _call_in(part: Any) -> dict[str, Any] | None:
    """A call of a tool as OpenAI writes it; none where the part is something else."""
    if not isinstance(part, Mapping):
        return None
    call = first_of(part, "function_call", "functionCall", "function")
    if not isinstance(call, Mapping):
        call = part if _type_of(part) in _CALLS or _is_flat_call(part) else {}
    name = first_of(call, "name", "toolName")
    if name is None or _is_definition(call):
        return None
    arguments = first_of(call, "arguments", "args", "parameters", "input")
    return {"id": first_of(part, *_IDS), "function": {"name": name, "arguments": arguments}}


def _is_flat_call(part: Mapping[str, Any]) -> bool:
    named = isinstance(part.get("toolName"), str) and ("input" in part or "args" in part)
    return named or part.keys() - {"id", "type"} in ({"name", "arguments"}, {"name", "args"}, {"name", "parameters"})


def _is_definition(function: Mapping[str, Any]) -> bool:
    parameters = function.get("parameters")
    return "description" in function or (isinstance(parameters, Mapping) and "properties" in parameters)


def _result_in(part: Any) -> dict[str, Any] | None:
    """A tool's result as OpenAI writes it; none where the part is something else."""
    if not isinstance(part, Mapping):
        return None
    held = first_of(part, "function_response", "functionResponse")
    if isinstance(held, Mapping):
        return {"role": "tool", "content": held.get("response")}
    if _type_of(part) not in _RESULTS:
        return None
    content = first_of(part, "response", "result", "output", "content")
    return {"role": "tool", "content": content, "tool_call_id": first_of(part, *_IDS)}


def _is_lone_call(raw: Any) -> bool:
    return isinstance(raw, Mapping) and "role" not in raw and "tool_calls" not in raw and _call_in(raw) is not None


def _is_lone_result(raw: Mapping[str, Any]) -> bool:
    return "role" not in raw and _result_in(raw) is not None


def _is_reasoning(raw: Mapping[str, Any]) -> bool:
    return _type_of(raw) == "reasoning" and "role" not in raw


def _holds_only_calls(message: Any) -> bool:
    alone = isinstance(message, Mapping) and message.keys() == {"role", "tool_calls"}
    return alone and isinstance(message["tool_calls"], list)


def _is_named_by_its_tool(message: Any, called: set[str]) -> bool:
    role = message.get("role") if isinstance(message, Mapping) else None
    return isinstance(role, str) and role_of(role) is None and role in called


def _names_of_calls(message: Any) -> set[str]:
    calls = message.get("tool_calls") if isinstance(message, Mapping) else None
    names = [_call_in(call) for call in calls] if isinstance(calls, list) else []
    return {call["function"]["name"] for call in names if call and isinstance(call["function"]["name"], str)}


def _defines_a_tool(content: Any) -> bool:
    function = content.get("function") if isinstance(content, Mapping) else None
    return isinstance(function, Mapping) and _is_definition(function)


def _list_in(text: str) -> list[Any] | None:
    if not text.lstrip().startswith("[{"):
        return None
    try:
        found = load_json(text)
    except ValueError:
        return None
    return found if isinstance(found, list) else None
