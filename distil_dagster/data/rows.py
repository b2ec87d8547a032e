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
from distil_dagster.data.normalise import Unreadable, load_json, parse_messages


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
    prompt = _conversation(question)
    if isinstance(prompt, Unreadable):
        return Unreadable(prompt.reason, f"question, {prompt.detail}")
    return Example(messages=(*prompt, _answer(answer)), context=_context(record.values), source=source)


def _conversation(question: object) -> tuple[Message, ...] | Unreadable:
    """The messages of a question that is a list of them, or a JSON text of it; every other question is one message."""
    held = question
    if isinstance(question, str):
        try:
            held = load_json(question) if question.lstrip().startswith("[") else question
        except ValueError:
            held = question
    if isinstance(held, list) and held and all(_is_message(item) for item in held):
        return parse_messages(held)
    return (Message(role="user", content=_as_text(question)),)


def _is_message(item: object) -> bool:
    return isinstance(item, Mapping) and ("role" in item or "from" in item)


def _answer(answer: object) -> Message:
    """The answer as a tool call where it is one, `{"name": …, "parameters": {…}}` as an object or a JSON text."""
    call = answer
    if isinstance(answer, str) and answer.lstrip().startswith("{"):
        try:
            call = load_json(answer)
        except ValueError:
            call = answer
    if isinstance(call, Mapping) and _is_call(call):
        return Message(role="assistant", tool_calls=(ToolCall(name=call["name"], arguments=dict(call["parameters"])),))
    return Message(role="assistant", content=_as_text(answer))


def _is_call(value: Mapping[str, Any]) -> bool:
    """Whether an object is a call and nothing more: a JSON answer may have such keys among others."""
    return (
        value.keys() == {"name", "parameters"}
        and isinstance(value["name"], str)
        and isinstance(value["parameters"], Mapping)
    )


def _context(values: Mapping[str, Any]) -> str | None:
    context = values.get("context")
    return context if isinstance(context, str) and context.strip() else None


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
