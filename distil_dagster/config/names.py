"""Which name was meant: the nearest of those that exist."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 80


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, whatever its case; nothing where none is alike."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.5)
    return by_folded[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question that offers the nearest known name, or the list of all where none is alike."""
    names = tuple(known)
    found = nearest(name, names)
    return f"did you mean {found}?" if found else f"known are {', '.join(names)}"


def shown(value: object) -> str:
    """A value as it may be quoted in a message: as Python writes it, cut to a readable length."""
    return _short.repr(value)
