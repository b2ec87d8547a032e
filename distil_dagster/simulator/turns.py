"""Conversations as the simulator knows them: who spoke, and what, in whatever form a request or a log shows it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from distil_dagster.simulator.call import text_of
from distil_dagster.simulator.comparing import canonical, normalised, read_value

_TOOL_RESULT = re.compile(r"\s*<tool_result>\s*(.*?)\s*</tool_result>\s*", re.DOTALL)


@dataclass(frozen=True)
class Turn:
    """One turn; an assistant's tool call is its canonical JSON."""

    role: Literal["user", "tool", "assistant"]
    text: str

    @cached_property
    def key(self) -> str:
        """The text as it is compared."""
        return normalised(self.text)

    @property
    def answers(self) -> bool:
        """Whether the assistant speaks; users and tools do not answer."""
        return self.role == "assistant"


def turns_of(messages: Sequence[Mapping[str, Any]]) -> tuple[Turn, ...]:
    """The turns of a conversation in OpenAI's form, without the system's."""
    return tuple(_turn(message) for message in messages if message.get("role") != "system")


def last_said(turns: Sequence[Turn]) -> str:
    """The text of the last turn that is not the assistant's; empty where there is none."""
    return next((turn.text for turn in reversed(turns) if not turn.answers), "")


def said(turns: Sequence[Turn]) -> str:
    """What users and tools said, as it is compared, a line a turn."""
    return "\n".join(turn.key for turn in turns if not turn.answers)


def _turn(message: Mapping[str, Any]) -> Turn:
    text = text_of(message)
    if message.get("role") == "assistant":
        return Turn("assistant", _called(message) or _answered(text))
    if message.get("role") == "tool":
        return Turn("tool", text)
    # A teacher is shown a tool's result as a user turn, in a block of its own.
    result = _TOOL_RESULT.fullmatch(text)
    return Turn("tool", result[1]) if result else Turn("user", text)


def _called(message: Mapping[str, Any]) -> str:
    calls = message.get("tool_calls")
    functions = [call.get("function") for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    found: list[Any] = [
        {"name": function.get("name"), "parameters": _arguments(function.get("arguments"))}
        for function in functions
        if isinstance(function, dict)
    ]
    return canonical(found[0] if len(found) == 1 else found) if found else ""


def _arguments(arguments: Any) -> Any:
    if not isinstance(arguments, str):
        return arguments or {}
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments


def _answered(text: str) -> str:
    """The answer in a teacher's earlier turn, bare or in the field `answer` of an object."""
    value = read_value(text)
    if isinstance(value, dict) and "answer" in value:
        value = value["answer"]
    return text if value is None else canonical(value)
