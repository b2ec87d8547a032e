"""The syntax of LFM2 and LFM2.5: a list of calls as Python writes them, in one block.

    <|tool_call_start|>[book_table(guests=4, name='Ada')]<|tool_call_end|>

JSON in the same tags is read as well. Carries every JSON value, under names of tools and arguments without whitespace,
quotes, brackets or any of `<=,;`. What LFM2.5's own template writes cannot always be read: it escapes nothing in a
text, so that a backslash may or may not begin an escape (it is taken to), and quotes in a text may look like its end.
"""

from __future__ import annotations

from collections.abc import Sequence

from distil_dagster.data.messages import ToolCall
from distil_dagster.tasks.tool_syntax import json_calls, python_calls
from distil_dagster.tasks.tool_syntax.reading import Reader, read_blocks

START = "<|tool_call_start|>"
_END = "<|tool_call_end|>"


def parse(text: str) -> list[ToolCall]:
    """The calls in all blocks."""
    return read_blocks(text, START, _END, _read)


def render(calls: Sequence[ToolCall]) -> str:
    """One block with all calls, texts escaped as in LFM2's template."""
    return f"{START}[{', '.join(python_calls.write(call) for call in calls)}]{_END}"


def _read(reader: Reader) -> list[ToolCall]:
    return json_calls.read(reader) if reader.sees(json_calls.STARTS_AS_JSON) else python_calls.read(reader)
