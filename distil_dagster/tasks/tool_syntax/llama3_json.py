"""The syntax of Llama 3.1 and 3.2: a call is JSON and nothing else.

    {"name": "book_table", "parameters": {"guests": 4}}

Several calls have `; ` between them. The tag `<|python_tag|>` may stand before them, and announces a built-in tool,
which is called as Python writes it: `<|python_tag|>web_search.call(query="tables")`. Carries every JSON value.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from distil_dagster.data.messages import ToolCall
from distil_dagster.tasks.tool_syntax import json_calls, python_calls
from distil_dagster.tasks.tool_syntax.reading import Reader, read_sequence

START = "<|python_tag|>"


def parse(text: str) -> list[ToolCall]:
    """The calls behind the tag, up to the end of the text."""
    reader = Reader(text, text.index(START) + len(START))
    if reader.sees(json_calls.STARTS_AS_JSON):
        return read_sequence(reader, json_calls.read)
    calls = read_sequence(reader, python_calls.read)
    return [call.model_copy(update={"name": call.name.removesuffix(".call")}) for call in calls]


def render(calls: Sequence[ToolCall]) -> str:
    """The calls as JSON. The family's own template writes one call only; several are as its parsers read them."""
    return "; ".join(json.dumps(call.as_answer(), ensure_ascii=False) for call in calls)
