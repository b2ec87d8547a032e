"""What the readers of all syntaxes share: a text read from left to right, and what makes it no call."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

from distil_dagster.data.messages import ToolCall

T = TypeVar("T")

_SPACE = re.compile(r"\s*")
_BETWEEN_CALLS = re.compile(r"[\s;,]*")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_CONSTANTS = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}
# Real newlines inside a string are no JSON, but students write them.
_DECODER = json.JSONDecoder(strict=False)


class NotCallsError(ValueError):
    """A text that is not in the syntax it is read in; the message says what is wrong, and where."""


class Reader:
    """A text and how far it is read. Whitespace before a token is skipped; what is read of a token is exact."""

    def __init__(self, text: str, position: int = 0) -> None:
        self.text = text
        self.position = position

    @property
    def at_end(self) -> bool:
        """Whether only whitespace is left."""
        return _end_of(_SPACE, self.text, self.position) == len(self.text)

    def sees(self, pattern: re.Pattern[str]) -> bool:
        """Whether the text goes on so."""
        return pattern.match(self.text, _end_of(_SPACE, self.text, self.position)) is not None

    def accept(self, token: str) -> bool:
        """Read a token, if it comes next."""
        start = _end_of(_SPACE, self.text, self.position)
        if not self.text.startswith(token, start):
            return False
        self.position = start + len(token)
        return True

    def expect(self, token: str) -> None:
        """Read a token that must come next."""
        if not self.accept(token):
            raise self.problem(f"{token!r} is missing")

    def match(self, pattern: re.Pattern[str]) -> str | None:
        """Read what a pattern matches, if it comes next."""
        found = pattern.match(self.text, _end_of(_SPACE, self.text, self.position))
        if found is None:
            return None
        self.position = found.end()
        return found[0]

    def until(self, token: str) -> str:
        """Read all up to a token, and the token."""
        end = self.text.find(token, self.position)
        if end < 0:
            raise self.problem(f"a text does not end in {token!r}")
        start, self.position = self.position, end + len(token)
        return self.text[start:end]

    def json(self) -> Any:
        """Read one JSON value."""
        start = _end_of(_SPACE, self.text, self.position)
        try:
            value, self.position = _DECODER.raw_decode(self.text, start)
        except json.JSONDecodeError as error:
            raise NotCallsError(f"not JSON: {error.msg} at character {error.pos}") from None
        return value

    def items(self, close: str, read: Callable[[], T]) -> list[T]:
        """Read items with commas between them, up to what closes them."""
        items: list[T] = []
        while not self.accept(close):
            items.append(read())
            if not self.accept(","):
                self.expect(close)
                break
        return items

    def problem(self, message: str) -> NotCallsError:
        """What is wrong here."""
        shown = self.text[self.position : self.position + 30]
        return NotCallsError(f"{message} at character {self.position}, before {shown!r}")


def read_blocks(text: str, start: str, end: str, read: Callable[[Reader], list[ToolCall]]) -> list[ToolCall]:
    """The calls in all blocks between two tags; text outside the blocks is ignored.

    The last block may lack its end tag: a student may stop as soon as its call is complete.
    """
    calls: list[ToolCall] = []
    at = text.find(start)
    while at >= 0:
        reader = Reader(text, at + len(start))
        calls += read(reader)
        if not reader.at_end:
            reader.expect(end)
        at = text.find(start, reader.position)
    return calls


def read_sequence(reader: Reader, read: Callable[[Reader], list[T]]) -> list[T]:
    """What stands up to the end of the text, with semicolons, commas or only whitespace between."""
    found = read(reader)
    while not reader.at_end:
        reader.match(_BETWEEN_CALLS)
        if not reader.at_end:
            found += read(reader)
    return found


def bare_value(word: str) -> bool | int | float | None:
    """The constant or number that a word without quotes stands for, in Python's spelling or JSON's.

    Raises:
        NotCallsError: it is neither.
    """
    if word in _CONSTANTS:
        return _CONSTANTS[word]
    if _INTEGER.fullmatch(word):
        return int(word)
    if _NUMBER.fullmatch(word):
        return float(word)
    raise NotCallsError(f"{word[:40]!r} is neither a number nor a constant, and a text stands in quotes")


def _end_of(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    return start if found is None else found.end()
