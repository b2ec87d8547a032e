"""Calls as Python writes them: `name(key="value", number=1, flags=[True, None])`, literals only.

Read by hand and not by `ast`, since what models write is often not Python: parameters named `from`, tools named
`get-weather`, `null` for `None`, real newlines in a string, and above all quotes in a string that are not escaped, as
LFM2.5's chat template writes them. Such a string ends at the first quote behind which the call goes on as it should.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from distil_dagster.data.messages import ToolCall
from distil_dagster.tasks.tool_syntax.reading import Reader, bare_value

_NAME_TEXT = r"[^\s<=,;()\[\]{}'\"]+"
_NAME = re.compile(_NAME_TEXT)
_WORD = re.compile(r"[^\s<=,;:()\[\]{}'\"]+")
_QUOTE = re.compile(r"'''|\"\"\"|'|\"")
_AFTER_CALL = rf"\s*+(?:\Z|[;\]<]|,\s*+{_NAME_TEXT}\s*\()"
_AFTER_ARGUMENT = re.compile(rf"\s*+(?:,\s*+{_NAME_TEXT}\s*=|(?:,\s*+)?\){_AFTER_CALL})")
_AFTER_ITEM = re.compile(r"\s*[,:\])}]")
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U(00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {**dict(zip("nrtbfav0", "\n\r\t\b\f\a\v\0", strict=True)), "\\": "\\", "'": "'", '"': '"', "\n": ""}


def read(reader: Reader) -> list[ToolCall]:
    """The calls that come next: one, or a list of them in brackets."""
    if reader.accept("["):
        return reader.items("]", lambda: _call(reader))
    return [_call(reader)]


def write(call: ToolCall) -> str:
    """A call with single quotes around texts, in which backslashes, quotes and newlines are escaped."""
    return f"{call.name}({', '.join(f'{name}={_written(value)}' for name, value in call.arguments.items())})"


def _written(value: object) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
        return f"'{escaped}'"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (Mapping, list)) else str(value)


def _call(reader: Reader) -> ToolCall:
    name = reader.match(_NAME)
    if name is None:
        raise reader.problem("the name of a tool is missing")
    reader.expect("(")
    return ToolCall(name=name, arguments=dict(reader.items(")", lambda: _argument(reader))))


def _argument(reader: Reader) -> tuple[str, Any]:
    name = reader.match(_NAME)
    if name is None:
        raise reader.problem("the name of an argument is missing")
    reader.expect("=")
    return name, _value(reader, _AFTER_ARGUMENT)


def _value(reader: Reader, after: re.Pattern[str]) -> Any:
    """A literal; `after` is what follows it, by which the end of a string is known."""
    quote = reader.match(_QUOTE)
    if quote is not None:
        return _string(reader, quote, after)
    for opening, closing in ("[]", "()"):
        if reader.accept(opening):
            return reader.items(closing, lambda: _value(reader, _AFTER_ITEM))
    if reader.accept("{"):
        return dict(reader.items("}", lambda: _member(reader)))
    word = reader.match(_WORD)
    if word is None:
        raise reader.problem("a value is missing")
    return bare_value(word)


def _member(reader: Reader) -> tuple[str, Any]:
    quote = reader.match(_QUOTE)
    if quote is None:
        raise reader.problem("a key in quotes is missing")
    key = _string(reader, quote, _AFTER_ITEM)
    reader.expect(":")
    return key, _value(reader, _AFTER_ITEM)


def _string(reader: Reader, quote: str, after: re.Pattern[str]) -> str:
    start = reader.position
    for found in re.compile(rf"\\.|{quote}", re.DOTALL).finditer(reader.text, start):
        if found[0] == quote and after.match(reader.text, found.end()):
            reader.position = found.end()
            return _unescaped(reader.text[start : found.start()])
    raise reader.problem("a text in quotes does not end")


def _unescaped(body: str) -> str:
    text = _ESCAPE.sub(_character, body)
    # JSON writes what lies outside the basic plane as two escapes; half of such a pair raises a ValueError.
    return text.encode("utf-16", "surrogatepass").decode("utf-16") if "\\u" in body else text


def _character(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2] or escape[3]
    return chr(int(code, 16)) if code else _ESCAPED.get(escape[4], escape[0])
