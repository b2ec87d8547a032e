"""Tool calls for tests: strategies of names and values, and what published chat templates write."""

import json
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from hypothesis import strategies as st

from distil_dagster.data.messages import ToolCall

TAGS = (
    *("<tool_call>", "</tool_call>", "<|python_tag|>", "<|tool_call_start|>", "<|tool_call_end|>"),
    *("<start_function_call>", "<end_function_call>", "<think>", "</think>", "<|im_end|>", "```"),
)
AWKWARD_TEXTS = (
    *(
        "It's 5 o'clock",
        'a "quoted" word',
        "two\nlines\r\n",
        "back\\slash \\n \\",
        "', b='x'",
        "x')]",
        "\\u00e9",
        "{}[]:,",
    ),
    *("", " ", "true", "7", "null", "日本 é 🎈", "\0\t\x0b\u2028", "; ", "<escape", *TAGS),
)
TEXTS = (
    st.text(max_size=20)
    | st.sampled_from(AWKWARD_TEXTS)
    | st.tuples(*[st.sampled_from(AWKWARD_TEXTS)] * 2).map("".join)
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}([.-][A-Za-z0-9_]{1,8}){0,2}", fullmatch=True)
PYTHON_KEYWORDS = st.sampled_from(["from", "in", "class", "lambda", "None", "True"])


def json_values(texts: st.SearchStrategy[str] = TEXTS, keys: st.SearchStrategy[str] = TEXTS) -> st.SearchStrategy:
    """Any JSON value whose strings are `texts`, under `keys`."""
    return st.recursive(
        SCALARS | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
        max_leaves=8,
    )


def calls(
    texts: st.SearchStrategy[str] = TEXTS,
    argument_names: st.SearchStrategy[str] = NAMES,
    keys: st.SearchStrategy[str] | None = None,
    most: int = 3,
) -> st.SearchStrategy[list[ToolCall]]:
    """One call or several; `keys` are those of nested objects, by default any text."""
    arguments = st.dictionaries(argument_names, json_values(texts, TEXTS if keys is None else keys), max_size=4)
    return st.lists(st.builds(ToolCall, name=NAMES, arguments=arguments), min_size=1, max_size=most)


def exactly(parsed: object) -> object:
    """Calls in a form whose equality tells 1, 1.0 and true apart; the order of keys says nothing."""
    if not isinstance(parsed, list):
        return parsed
    return [(call.id, json.dumps(call.as_answer(), sort_keys=True)) for call in parsed]


def written_by_template(template: str, tool_calls: Sequence[ToolCall]) -> str:
    """The assistant's turn with tool calls, as one of the chat templates that TRL publishes writes it."""
    from transformers.utils.chat_template_utils import render_jinja_template

    functions = [
        {"type": "function", "function": call.model_dump(include={"name", "arguments"})} for call in tool_calls
    ]
    conversation = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "", "tool_calls": functions}]
    rendered, _ = render_jinja_template(
        conversations=[conversation], chat_template=_template(template), bos_token="", date_string="26 Jul 2024"
    )
    begin = "<|end_header_id|>\n\n" if template.startswith("llama") else "<|im_start|>assistant\n"
    return rendered[0].partition("?")[2].partition(begin)[2]


@cache
def _template(name: str) -> str:
    spec = find_spec("trl")
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / "chat_templates" / f"{name}.jinja").read_text(encoding="utf-8")
