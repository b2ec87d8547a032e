"""Which name was meant, and how a wrong value is quoted."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 80


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, whatever its case; none where nothing is alike."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question that offers the nearest known name, or the list of all where nothing is alike."""
    names = tuple(known)
    found = nearest(name, names)
    return f"did you mean {found}?" if found else f"known are {', '.join(names)}"


def shown(value: object) -> str:
    """A value as a message quotes it: as it stands in a file, cut to a readable length."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return _short.repr(value)
