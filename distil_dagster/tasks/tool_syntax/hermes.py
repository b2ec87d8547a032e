"""Qwen3's syntax, first used by Hermes: JSON between `<tool_call>` tags, a block for each call.

    <tool_call>
    {"name": "book_table", "arguments": {"guests": 4}}
    </tool_call>

Carries every JSON value.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from distil_dagster.data.messages import ToolCall
from distil_dagster.tasks.tool_syntax import json_calls
from distil_dagster.tasks.tool_syntax.reading import read_blocks

START = "<tool_call>"
_END = "</tool_call>"


def parse(text: str) -> list[ToolCall]:
    """The calls in all blocks."""
    return read_blocks(text, START, _END, json_calls.read)


def render(calls: Sequence[ToolCall]) -> str:
    """A block for each call."""
    return "\n".join(f"{START}\n{_json(call)}\n{_END}" for call in calls)


def _json(call: ToolCall) -> str:
    return json.dumps({"name": call.name, "arguments": call.arguments}, ensure_ascii=False)
