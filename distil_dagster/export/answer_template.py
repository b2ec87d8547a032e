"""How transformers' own server reads the model's answers: the `response_template` of the tokenizer.

Without one the server drops special tokens from a text, and reads calls of tools for a few families only, where a call
that is not JSON ends in an error of the server. Here whatever is not a whole call reaches the client letter by letter,
as it was evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_WORDS = r"(?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)(?P<constant>true|false|null)"
_JSON = (
    r"(?(DEFINE)"
    + _WORDS
    + r'(?P<text>"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+")'
    + r"(?P<value>\s*+(?:(?&text)|(?&number)|(?&constant)|(?&object)|(?&list))\s*+)"
    + r"(?P<member>\s*+(?&text)\s*+:(?&value))"
    + r"(?P<object>\{(?:(?&member)(?:,(?&member))*+|\s*+)\})"
    + r"(?P<list>\[(?:(?&value)(?:,(?&value))*+|\s*+)\]))"
)
# The server's parser of such objects takes these control characters for its own.
_FUNCTIONGEMMA = (
    r"(?(DEFINE)"
    + _WORDS
    + r"(?P<text><escape>(?:(?!<escape>|<end_function_call>)[^\x01\x02])*+<escape>)"
    + r"(?P<value>(?&text)|(?&number)|(?&constant)|(?&object)|(?&list))"
    + r"(?P<member>\w++:(?&value))"
    + r"(?P<object>\{(?:(?&member)(?:,(?&member))*+)?\})"
    + r"(?P<list>\[(?:(?&value)(?:,(?&value))*+)?\]))"
)


def answer_template(tool_format: str | None, stops: Sequence[str]) -> dict[str, Any]:
    """The template for a model whose calls have the syntax `tool_format`, and whose answers end in one of `stops`.

    Calls as LFM2 writes them, in Python, cannot be said in such a template: they stay text.
    """
    fields = {"content": {"close": list(stops), "content": "text", "content_args": {"strip": False}}}
    if tool_format == "hermes":
        fields["tool_calls"] = _json_call(r"\s*+<tool_call>\s*+", "arguments", r"\s*+</tool_call>")
    elif tool_format == "llama3_json":
        end = "|".join([*map(re.escape, stops), r"\Z"])
        fields["tool_calls"] = _json_call(r"\A\s*+(?:<\|python_tag\|>)?\s*+", "parameters", rf"\s*+(?={end})")
    elif tool_format == "functiongemma":
        fields["tool_calls"] = _functiongemma_call()
    # Of the prompt nothing belongs to the answer, so it begins where the prompt ends.
    return {"start_anchor_pattern": r"\Z", "fields": fields}


def _json_call(before: str, arguments: str, after: str) -> dict[str, Any]:
    """A whole call opens the field, so that nothing is left that could not be read."""
    call = (
        r'\{\s*+"name"\s*+:\s*+"(?P<called>[^"\\]++)"\s*+,\s*+'
        rf'"{arguments}"\s*+:\s*+(?P<arguments>(?&object))\s*+\}}'
    )
    return {
        "open_pattern": _JSON + before + call + after,
        "close_pattern": "",
        "repeats": True,
        "transform": _function("{called}", "{arguments}"),
    }


def _functiongemma_call() -> dict[str, Any]:
    return {
        "open_pattern": _FUNCTIONGEMMA
        + r"\s*+<start_function_call>call:(?P<called>[^\s{}]++)(?=(?&object)<end_function_call>)",
        "close": "<end_function_call>",
        "repeats": True,
        "content": "json",
        "content_args": {"unquoted_keys": True, "string_delims": [["<escape>", "<escape>"]]},
        "transform": _function("{called}", "{content}"),
    }


def _function(name: str, arguments: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments}}
