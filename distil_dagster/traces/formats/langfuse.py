"""Langfuse observations: what was asked stands in `input`, what was answered in `output`.

Documented are `{"id": …, "input": [messages], "output": {message}}`. What the two keys really hold depends on the
framework that logged them, and on the export: texts that are JSON may stand there as text or as the value. Whatever is
clear is read; for the rest the detail says what was found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from distil_dagster.data.messages import Message
from distil_dagster.data.normalise import TOO_DEEP, Unreadable, first_of, kind_of, load_json, parse_messages, too_deep
from distil_dagster.traces.formats.dialects import as_openai_form, is_message, is_part
from distil_dagster.traces.formats.hints import wrong_format

_QUESTIONS = {"prompt", "input", "question", "query"}
_CONVERSATIONS = ("messages", "contents")
_SYSTEM_PROMPTS = ("system", "system_instruction", "systemInstruction", "instructions")
_CUT_MESSAGES = re.compile(r'\s*(\[\s*|\{\s*"messages"\s*:\s*\[\s*)?\{\s*"(role|content|messages)"\s*:')
_SETTINGS = {"model", "tools", "config", *_SYSTEM_PROMPTS}


def langfuse(record: Mapping[str, Any]) -> tuple[Message, ...] | Unreadable:
    """`{"input": …, "output": …}`; all other keys of an observation are left aside.

    An observation without an output is a conversation without an answer. What stands in both is not doubled: an output
    that begins with the whole input, or an input that ends with the output.
    """
    if "input" not in record:
        return wrong_format("langfuse", "input", record)
    if too_deep(record):
        return Unreadable("bad_message", TOO_DEEP)
    asked = _parsed("input", _asked(record["input"]))
    if isinstance(asked, Unreadable):
        return asked
    answer = _answered(record.get("output"))
    answered = _parsed("output", answer) if answer else ()
    if isinstance(answered, Unreadable):
        return answered
    return _joined(asked, answered)


def _parsed(key: str, raw: list[Any] | Unreadable) -> tuple[Message, ...] | Unreadable:
    if isinstance(raw, Unreadable):
        return Unreadable(raw.reason, f"{key} {raw.detail}")
    messages = parse_messages(as_openai_form(raw))
    if isinstance(messages, Unreadable):
        return Unreadable(messages.reason, f"{key}, {messages.detail}")
    return messages


def _joined(asked: tuple[Message, ...], answered: tuple[Message, ...]) -> tuple[Message, ...]:
    before, after = [_said(message) for message in asked], [_said(message) for message in answered]
    if after[: len(before)] == before:
        return answered
    if after and before[-len(after) :] == after:
        return asked
    return (*asked, *answered)


def _said(message: Message) -> tuple[str, str, str]:
    """What makes two logged copies of a message the same: identifiers of calls often differ."""
    return message.role, message.content.strip(), message.answer.strip()


# What was asked


def _asked(raw: object) -> list[Any] | Unreadable:
    """The messages in an input, in the form in which they were logged."""
    if isinstance(raw, str):
        return _asked_in_text(raw)
    if isinstance(raw, list):
        return _asked_in_list(raw)
    if isinstance(raw, Mapping):
        return _asked_in_object(raw)
    return Unreadable("no_messages", f"is {kind_of(raw)}")


def _asked_in_text(raw: str) -> list[Any] | Unreadable:
    held = _json_in(raw)
    found = None if held is None else _asked(held)
    if isinstance(found, list):
        return found
    if found is not None and isinstance(held, Mapping) and first_of(held, *_CONVERSATIONS) is not None:
        return found
    if _CUT_MESSAGES.match(raw) and held is None:
        return Unreadable("no_messages", "begins like messages, but is not JSON")
    return [{"role": "user", "content": raw}] if raw.strip() else Unreadable("no_messages", "is empty")


def _asked_in_list(raw: list[Any]) -> list[Any] | Unreadable:
    if not raw:
        return Unreadable("no_messages", "is empty")
    if len(raw) == 1 and isinstance(raw[0], (str, list)):  # a batch of one
        return _asked(raw[0])
    if all(is_part(item) for item in raw):
        return [{"role": "user", "content": raw}]
    if not all(isinstance(item, Mapping) for item in raw):
        return Unreadable("no_messages", "is a list that holds more than messages")
    return raw


def _asked_in_object(raw: Mapping[str, Any]) -> list[Any] | Unreadable:
    if is_message(raw):
        return [raw]
    conversation = first_of(raw, *_CONVERSATIONS)
    if conversation is not None:
        return _under_system_prompt(raw, _asked(conversation))
    if "args" in raw or "kwargs" in raw:
        return _asked_of_function(raw.get("args"), raw.get("kwargs"))
    said = {key: value for key, value in raw.items() if key not in _SETTINGS and _says_something(value)}
    if len(said) == 1 and said.keys() <= _QUESTIONS:
        return _under_system_prompt(raw, _asked(next(iter(said.values()))))
    return Unreadable("no_messages", f"has neither messages nor one question; it has {', '.join(list(raw)[:5]):.200}")


def _asked_of_function(positional: object, named: object) -> list[Any] | Unreadable:
    """A logged call of a function: its only argument that says something is what was asked."""
    if isinstance(named, Mapping) and first_of(named, *_CONVERSATIONS) is not None:
        return _asked_in_object(named)
    arguments = list(positional) if isinstance(positional, list) else [positional]
    arguments += named.values() if isinstance(named, Mapping) else [named]
    said = [argument for argument in arguments if _says_something(argument)]
    if len(said) != 1:
        return Unreadable("no_messages", f"has {len(said)} arguments with text, not one question")
    return _asked(said[0])


def _under_system_prompt(raw: Mapping[str, Any], found: list[Any] | Unreadable) -> list[Any] | Unreadable:
    """Put the system prompt that some providers take beside the messages in front of them."""
    config = raw.get("config")
    prompt = first_of({**config, **raw} if isinstance(config, Mapping) else raw, *_SYSTEM_PROMPTS)
    if isinstance(found, Unreadable) or not prompt:
        return found
    if isinstance(prompt, Mapping):
        return [{**prompt, "role": "system"}, *found]
    return [{"role": "system", "content": prompt}, *found]


def _says_something(value: object) -> bool:
    return isinstance(value, (str, list, Mapping)) and bool(value)


# What was answered


def _answered(raw: object) -> list[Any] | Unreadable:
    """The messages in an output, in the form in which they were logged; what is no message is the text of one."""
    if raw is None or raw in ("", [], {}):
        return []
    value = _json_in(raw) if isinstance(raw, str) else raw
    if isinstance(raw, str) and value is None and _CUT_MESSAGES.match(raw):
        return Unreadable("no_messages", "begins like a message, but is not JSON")
    found = _messages_in(value)
    if found is not None:
        return found
    text = raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False, default=str)
    return [{"role": "assistant", "content": text}]


def _messages_in(value: object) -> list[Any] | None:
    if isinstance(value, list):
        return _messages_in_list(value)
    return _messages_in_object(value) if isinstance(value, Mapping) else None


def _messages_in_list(value: Sequence[Any]) -> list[Any] | None:
    if value and all(isinstance(item, Mapping) and is_message(item) for item in value):
        return [_of_assistant(item) for item in value]
    if value and all(is_part(item) for item in value):
        return [{"role": "assistant", "content": value}]
    return None


def _messages_in_object(value: Mapping[str, Any]) -> list[Any] | None:
    if is_message(value):
        return [_of_assistant(value)]
    choices = first_of(value, "choices", "candidates")
    if isinstance(choices, list) and choices and isinstance(choices[0], Mapping):
        text = choices[0].get("text")
        return [{"role": "assistant", "content": text}] if isinstance(text, str) else _messages_in(choices[0])
    for key in ("message", "messages", "output", "content"):
        inside = value.get(key)
        if isinstance(inside, str) and len(value) == 1:
            return [{"role": "assistant", "content": inside}]
        found = _messages_in(inside)
        if found is not None:
            return found
    return None


def _of_assistant(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """The message with the role that goes without saying in an output; a call that stands alone needs none."""
    named = first_of(message, "role", "from", "type") is not None
    says = "content" in message or "tool_calls" in message
    return {**message, "role": "assistant"} if says and not named else message


def _json_in(text: str) -> Any:
    """The object or list that a text holds as JSON; none where it is another text."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return load_json(text)
    except ValueError:
        return None
