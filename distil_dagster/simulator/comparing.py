"""When two answers are the same: texts but for what a log may change, tool calls as JSON values."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Mapping
from typing import Any

Answer = str | dict[str, Any] | list[Any]
"""A text, a tool call `{"name": …, "parameters": {…}}`, or the list of a conversation's answers."""

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")


def normalised(text: str) -> str:
    """The text without the differences that a log may add: letter case and whitespace, also before punctuation."""
    words = " ".join(text.casefold().split())
    for mark in ".,!?;:":
        words = words.replace(f" {mark}", mark)
    return words


def canonical(answer: Answer) -> str:
    """An answer as one text, the same for the same JSON value in whatever order its keys stand."""
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False, sort_keys=True)


def read_value(text: str) -> dict[str, Any] | list[Any] | None:
    """The JSON object or list that a text is; none where it is neither."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def same_answer(one: Answer | None, other: Answer | None) -> bool:
    """Whether two answers are the same; an answer that is not known is the same as none."""
    if isinstance(one, str) and isinstance(other, str):
        return normalised(one) == normalised(other)
    return one is not None and other is not None and same_value(one, other)


def same_value(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: 1 and 1.0 are, 1 and true are not, and keys may stand in any order."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same_value(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_value, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def says_the_same(reference: str, prediction: str) -> bool:
    """Whether a reader takes two answers for the same: equal as JSON, or as texts without case, punctuation, articles.

    Texts are compared as SQuAD's exact match does (Rajpurkar et al., 2016).
    """
    values = read_value(reference), read_value(prediction)
    if values[0] is not None and values[1] is not None:
        return same_value(*values)
    bare = _bare(reference)
    if not bare:
        return normalised(reference) == normalised(prediction)
    return bare == _bare(prediction)


def _bare(text: str) -> str:
    return " ".join(_ARTICLES.sub(" ", text.casefold().translate(_PUNCTUATION)).split())
