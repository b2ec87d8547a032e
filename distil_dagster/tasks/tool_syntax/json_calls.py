"""Calls as JSON: what teachers and data sets write, and what several families write between their tags.

A call is `{"name": …, "parameters": {…}}`, or with `arguments`, which may be a JSON string; OpenAI's
`{"type": "function", "function": {…}}` and `{"tool_calls": […]}`, a list of calls and a teacher's `{"answer": …}` hold
such calls.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from distil_dagster.data.messages import ToolCall
from distil_dagster.data.normalise import kind_of, load_json
from distil_dagster.tasks.text_task import without_fence
from distil_dagster.tasks.tool_syntax.reading import NotCallsError, Reader, read_sequence

STARTS_AS_JSON = re.compile(r"\{|\[\s*[\[{\]]")
"""How a call or a list of calls in JSON begins; in other syntaxes, a list goes on with a name."""

_HOLDERS = ("answer", "tool_calls", "function")
_BESIDE_ARGUMENTS = {"name", "type", "id", "index"}


def json_values(text: str) -> list[Any]:
    """The values of a text that is JSON from beginning to end, but for a code fence around it.

    Several values may follow each other, with semicolons, commas or whitespace between them.

    Raises:
        NotCallsError: the text is not JSON.
    """
    return read_sequence(Reader(without_fence(text)), lambda reader: [reader.json()])


def read(reader: Reader) -> list[ToolCall]:
    """The calls in the JSON value that comes next."""
    return calls_in(reader.json())


def calls_in(value: object) -> list[ToolCall]:
    """The calls in a JSON value.

    Raises:
        NotCallsError: a part of it is not a call.
    """
    if isinstance(value, str):
        return calls_in(_loaded(value, "a text in place of a call"))
    if isinstance(value, list):
        return [call for item in value for call in calls_in(item)]
    if not isinstance(value, Mapping):
        raise NotCallsError(f"not a call but {kind_of(value)}")
    if "name" in value:
        return [_call(value)]
    holder = next((key for key in _HOLDERS if key in value), None)
    if holder is None:
        raise NotCallsError(f"an object without a name is not a call; it has {', '.join(value)[:80] or 'nothing'}")
    return calls_in(value[holder])


def _call(value: Mapping[str, Any]) -> ToolCall:
    name = value["name"]
    if not isinstance(name, str) or not name.strip():
        raise NotCallsError("the call's name is not a text, or empty")
    keys = [key for key in ("parameters", "arguments") if key in value]
    if len(keys) == 2:
        raise NotCallsError(f"the call of {name:.80} has both parameters and arguments")
    others = ", ".join(key for key in value if key not in _BESIDE_ARGUMENTS)
    if not keys and others:
        raise NotCallsError(f"the call of {name:.80} has neither parameters nor arguments, but {others[:80]}")
    return ToolCall(name=name, arguments=_arguments(name, value[keys[0]] if keys else None))


def _arguments(name: str, raw: object) -> dict[str, Any]:
    if isinstance(raw, str):
        raw = _loaded(raw, f"the arguments of the call of {name:.80}") if raw.strip() else None
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise NotCallsError(f"the arguments of the call of {name:.80} are {kind_of(raw)}, not an object")
    return raw


def _loaded(text: str, what: str) -> Any:
    try:
        return load_json(text)
    except ValueError as error:
        raise NotCallsError(f"{what}: not JSON: {error}") from None
