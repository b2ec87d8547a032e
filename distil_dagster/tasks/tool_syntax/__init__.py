"""Tool calls in the syntax of each family of students: reading what any of them wrote, writing as each of them would.

A family's chat template decides how its students write a call; the catalogue names the syntaxes (`tool_format`) as vLLM
names its parsers. One module a syntax says what it looks like and which values it cannot carry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from distil_dagster.data.messages import ToolCall
from distil_dagster.data.normalise import TOO_DEEP, too_deep
from distil_dagster.tasks.text_task import without_fence
from distil_dagster.tasks.tool_syntax import functiongemma, hermes, json_calls, lfm2, llama3_json
from distil_dagster.tasks.tool_syntax.reading import NotCallsError

__all__ = ["TOOL_FORMATS", "NoCalls", "parse_calls", "render_calls"]

_THINKING, _THOUGHT = "<think>", "</think>"
_ENDS_OF_TURN = (
    *("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"),
    *("<end_of_turn>", "<start_function_response>", "<eos>", "</s>"),
)


class ToolSyntax(Protocol):
    """How one family writes calls."""

    START: str
    """The tag that announces calls."""

    def parse(self, text: str) -> list[ToolCall]:
        """The calls in a text that has the tag; raises a ValueError where what follows the tag is not calls."""

    def render(self, calls: Sequence[ToolCall]) -> str:
        """The calls as the family's chat template writes them."""


_SYNTAXES: Mapping[str, ToolSyntax] = {
    "hermes": hermes,
    "llama3_json": llama3_json,
    "lfm2": lfm2,
    "functiongemma": functiongemma,
}
TOOL_FORMATS = tuple(_SYNTAXES)


@dataclass(frozen=True)
class NoCalls:
    """A text that is not tool calls, and why."""

    problem: str


def parse_calls(text: str) -> list[ToolCall] | NoCalls:
    """The tool calls, one or more, in what a model wrote; never raises.

    A text that is JSON from beginning to end, but for a code fence, is read as JSON, whatever its strings hold.
    Otherwise the first tag of a family says which syntax to read, and text outside its blocks is ignored. JSON is not
    fished out of prose. Thinking at the text's beginning and tokens that end a turn are left out, and so are the ids of
    calls.

    All calls must be readable, and such that they can be stored: no NaN, no infinity, no half of a surrogate pair, and
    at most 100 levels of nesting.
    """
    try:
        calls = _parse(_without_end_of_turn(_without_thinking(text)))
        if not calls:
            return NoCalls("a list without a call")
        return calls if _storable(calls) else NoCalls(TOO_DEEP)
    except RecursionError:
        return NoCalls(TOO_DEEP)
    except ValueError as error:
        return NoCalls(str(error))


def render_calls(tool_format: str, calls: Sequence[ToolCall]) -> str:
    """The calls as the chat template of a family writes them; their ids are left out.

    `tool_format` is one of `TOOL_FORMATS`. The syntax's module says which values it cannot carry: those are written all
    the same, as the template would, but cannot be read again.

    Raises:
        KeyError: a name that is not one of them.
    """
    return _SYNTAXES[tool_format].render(calls)


def _parse(text: str) -> list[ToolCall]:
    try:
        values = json_calls.json_values(text)
    except NotCallsError as not_json:
        return _parse_tagged(text, not_json)
    return json_calls.calls_in(values)


def _parse_tagged(text: str, not_json: NotCallsError) -> list[ToolCall]:
    syntaxes = {text.find(syntax.START): syntax for syntax in _SYNTAXES.values() if syntax.START in text}
    if syntaxes:
        return syntaxes[min(syntaxes)].parse(text)
    if without_fence(text).startswith(("{", "[")):
        raise not_json
    raise NotCallsError("neither JSON nor a text with the tags of a tool call")


def _without_thinking(text: str) -> str:
    if not text.lstrip().startswith(_THINKING):
        return text
    _, thought, rest = text.partition(_THOUGHT)
    if not thought:
        raise NotCallsError("the text ends before its thinking does")
    return rest


def _without_end_of_turn(text: str) -> str:
    text = text.strip()
    while (token := next(filter(text.endswith, _ENDS_OF_TURN), None)) is not None:
        text = text.removesuffix(token).rstrip()
    return text


def _storable(calls: Sequence[ToolCall]) -> bool:
    """Whether the calls can be stored and walked; raises a ValueError for what has no form in JSON or UTF-8."""
    answers = [call.as_answer() for call in calls]
    if any(too_deep(answer) for answer in answers):
        return False
    json.dumps(answers, ensure_ascii=False, allow_nan=False).encode("utf-8")
    return True
