"""What the journal needs of a connection to a database, so that it does not matter which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

_KEYS_A_STATEMENT = 500


class DatabaseTrouble(Exception):  # noqa: N818 - it says what there is
    """What a database could not do, in its own words and without secrets."""


class Connection(Protocol):
    """One connection, used by one thread at a time; statements mark their values with `?`.

    Both ways to run something are one transaction, whole or not at all.

    Raises:
        DatabaseTrouble: the database could not do it.
    """

    def run(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement; gives its rows."""
        ...

    def run_for_each(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one statement for each row of values."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def in_parts(keys: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
    """The keys in numbers that a statement takes, each with its marks for `IN (…)`."""
    for start in range(0, len(keys), _KEYS_A_STATEMENT):
        some = keys[start : start + _KEYS_A_STATEMENT]
        yield ",".join("?" * len(some)), some
