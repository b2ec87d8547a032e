"""FunctionGemma's syntax: like JSON with bare keys, and with the token `<escape>` for the quotes of texts.

    <start_function_call>call:book_table{guests:4,name:<escape>Ada<escape>}<end_function_call>

A block for each call; keys in the order of the alphabet, letter case ignored. Carries every JSON value but texts that
hold `<escape>`, under keys that are not empty and have none of `:,{}[]<` and no whitespace at their ends, and names of
tools without whitespace or braces. A text without its `<escape>` is read as far as the next comma or bracket, as
Google's own reader does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from distil_dagster.data.messages import ToolCall
from distil_dagster.tasks.tool_syntax.reading import NotCallsError, Reader, bare_value, read_blocks

START = "<start_function_call>"
_END = "<end_function_call>"
_QUOTE = "<escape>"
_NAME = re.compile(r"[^\s{}]+")
_KEY = re.compile(r"[^:,{}\[\]<]+")
_BARE = re.compile(r"[^,{}\[\]<]+")


def parse(text: str) -> list[ToolCall]:
    """The calls in all blocks."""
    return read_blocks(text, START, _END, _read)


def render(calls: Sequence[ToolCall]) -> str:
    """A block for each call."""
    return "".join(f"{START}call:{call.name}{_written(call.arguments)}{_END}" for call in calls)


def _written(value: object) -> str:
    if isinstance(value, str):
        return f"{_QUOTE}{value}{_QUOTE}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        members = sorted(value.items(), key=lambda member: member[0].lower())
        return f"{{{','.join(f'{key}:{_written(inner)}' for key, inner in members)}}}"
    return f"[{','.join(map(_written, value))}]" if isinstance(value, list) else str(value)


def _read(reader: Reader) -> list[ToolCall]:
    reader.expect("call:")
    name = reader.match(_NAME)
    if name is None:
        raise reader.problem("the name of a tool is missing")
    reader.expect("{")
    return [ToolCall(name=name, arguments=_members(reader))]


def _members(reader: Reader) -> dict[str, Any]:
    return dict(reader.items("}", lambda: _member(reader)))


def _member(reader: Reader) -> tuple[str, Any]:
    key = reader.until(_QUOTE) if reader.accept(_QUOTE) else (reader.match(_KEY) or "").rstrip()
    if not key:
        raise reader.problem("the name of an argument is missing")
    reader.expect(":")
    return key, _value(reader)


def _value(reader: Reader) -> Any:
    if reader.accept(_QUOTE):
        return reader.until(_QUOTE)
    if reader.accept("{"):
        return _members(reader)
    if reader.accept("["):
        return reader.items("]", lambda: _value(reader))
    word = (reader.match(_BARE) or "").rstrip()
    if not word:
        raise reader.problem("a value is missing")
    try:
        return bare_value(word)
    except NotCallsError:
        return word
