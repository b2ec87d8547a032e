"""Metrics of tool calls: one prediction against one reference; every one is in [0, 1], higher is better.

| metric | what it gives |
|---|---|
| `tool_call_equivalence` | 1.0 where name and arguments are equal, arguments not given taking their schema's defaults |
| `binary_tool_call` | 1.0 where name and arguments are equal as they stand |
| `staged_tool_call` | 0.25 for one call that can be read, 0.50 if its name is right too, 0.75 if the names of its \
arguments are, 1.00 if it is equal as it stands |

All three give 0.0 to a text that is not exactly one call, and read a call whether or not it satisfies its tool's
schema. Arguments are compared as JSON values: the order of keys says nothing, that of lists does, 1 equals 1.0, and
true does not equal 1. Source: the definitions that the documents of the platform give for metrics of these names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from distil_dagster.data.messages import ToolCall
from distil_dagster.evaluation.metrics import Metric
from distil_dagster.tasks.base import Parsed
from distil_dagster.tasks.tool_syntax import NoCalls, parse_calls
from distil_dagster.tasks.toolbox import Toolbox

_CompareCalls = Callable[[ToolCall, ToolCall], float]


def tool_metrics(toolbox: Toolbox) -> Mapping[str, Metric]:
    """The metrics of tool calls by name, for the tools of one job.

    Each takes a reference text and what the task read in a prediction, and raises a ValueError for a reference that is
    not one call: references are checked where they are loaded.
    """

    def equivalence(reference: ToolCall, prediction: ToolCall) -> float:
        return binary_tool_call(toolbox.with_defaults(reference), toolbox.with_defaults(prediction))

    return {
        "tool_call_equivalence": _metric(equivalence),
        "binary_tool_call": _metric(binary_tool_call),
        "staged_tool_call": _metric(staged_tool_call),
    }


def binary_tool_call(reference: ToolCall, prediction: ToolCall) -> float:
    """1.0 where name and arguments are equal, else 0.0."""
    return float(reference.name == prediction.name and same_json(reference.arguments, prediction.arguments))


def staged_tool_call(reference: ToolCall, prediction: ToolCall) -> float:
    """0.25 for any call, 0.50 for the right tool, 0.75 for the right arguments' names, 1.00 for equal calls."""
    if prediction.name != reference.name:
        return 0.25
    if prediction.arguments.keys() != reference.arguments.keys():
        return 0.50
    return 1.00 if same_json(reference.arguments, prediction.arguments) else 0.75


def same_json(one: object, other: object) -> bool:
    """Whether two JSON values are equal; unlike in Python, true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same_json(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    return one == other


def _metric(compare: _CompareCalls) -> Metric:
    def metric(reference: str, parsed: Parsed) -> float:
        right, predicted = _one_call(reference), _one_call(parsed.text)
        if isinstance(right, NoCalls):
            raise ValueError(f"the reference is not one tool call ({right.problem}): {reference!r:.200}")
        return 0.0 if isinstance(predicted, NoCalls) else compare(right, predicted)

    return metric


def _one_call(text: str) -> ToolCall | NoCalls:
    calls = parse_calls(text)
    if isinstance(calls, NoCalls):
        return calls
    return calls[0] if len(calls) == 1 else NoCalls(f"{len(calls)} calls")
