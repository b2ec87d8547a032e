"""Labelled rows of the two generations, `messages` and flat `question`/`answer`, as examples."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distil_dagster.data.examples import Example, SetAside
from distil_dagster.data.files import Record, read_records, set_aside
from distil_dagster.data.messages import Message, ToolCall
from distil_dagster.data.normalise import Unreadable, parse_messages


@dataclass(frozen=True)
class ExampleFile:
    """The examples of a file, and the rows set aside."""

    examples: list[Example] = field(default_factory=list)
    set_aside: list[SetAside] = field(default_factory=list)


def read_examples(path: Path) -> ExampleFile:
    """Read `train` or `test` rows; the first row tells which generation the file is."""
    found = read_records(path)
    result = ExampleFile(set_aside=list(found.set_aside))
    has_messages = bool(found.records) and "messages" in found.records[0].values
    for record in found.records:
        example = (_from_messages if has_messages else _from_flat)(record, f"{found.file}:{record.line}")
        if isinstance(example, Unreadable):
            result.set_aside.append(set_aside(found.file, record.line, example, record.values))
        else:
            result.examples.append(example)
    return result


def _from_messages(record: Record, source: str) -> Example | Unreadable:
    messages = parse_messages(record.values.get("messages"))
    if isinstance(messages, Unreadable):
        return messages
    if len(messages) < 2 or messages[-1].role != "assistant":
        return Unreadable("bad_row", "the conversation must end on an assistant message that answers something")
    return Example(messages=messages, context=_context(record.values), source=source)


def _from_flat(record: Record, source: str) -> Example | Unreadable:
    question, answer = record.values.get("question"), record.values.get("answer")
    for name, value in (("question", question), ("answer", answer)):
        if value is None or value == "":
            return Unreadable("bad_row", f"{name} is missing")
    prompt = _conversation(question) or (Message(role="user", content=_as_text(question)),)
    return Example(messages=(*prompt, _answer(answer)), context=_context(record.values), source=source)


def _conversation(question: object) -> tuple[Message, ...] | None:
    """The question as a conversation where it is one: a list of messages, or a JSON string of it."""
    if isinstance(question, str) and not question.lstrip().startswith("["):
        return None
    messages = parse_messages(question)
    return None if isinstance(messages, Unreadable) else messages


def _answer(answer: object) -> Message:
    """The answer as a tool call where it is one, `{"name": …, "parameters": {…}}` as an object or a JSON string."""
    call = answer
    if isinstance(answer, str) and answer.lstrip().startswith("{"):
        try:
            call = json.loads(answer)
        except (ValueError, RecursionError):
            call = answer
    if isinstance(call, Mapping) and isinstance(call.get("name"), str) and isinstance(call.get("parameters"), Mapping):
        return Message(role="assistant", tool_calls=(ToolCall(name=call["name"], arguments=dict(call["parameters"])),))
    return Message(role="assistant", content=_as_text(answer))


def _context(values: Mapping[str, Any]) -> str | None:
    context = values.get("context")
    return context if isinstance(context, str) and context.strip() else None


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
