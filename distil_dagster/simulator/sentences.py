"""Sentences of short mails."""

from __future__ import annotations

import re

_BORDER = re.compile(r"(?<=[.!?])\s+|\s*\n\s*")


def sentences(text: str) -> list[str]:
    """The sentences of a text; a line break ends one too."""
    return [sentence for sentence in _BORDER.split(text.strip()) if sentence]


def capitalised(text: str) -> str:
    """The text with a capital first letter, the rest as it is."""
    return text[:1].upper() + text[1:]
