"""The journal of one machine: an SQLite file, and beside it another for the claims."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from distil_dagster.errors import DistilError
from distil_dagster.llm.journal.claims import LEASE_SECONDS
from distil_dagster.llm.journal.connection import DatabaseTrouble
from distil_dagster.llm.journal.database import COLUMNS, DatabaseJournal, Dialect, row_of

_LAYOUT_VERSION = 1
_BUSY_SECONDS = 60.0
_SECONDS_BETWEEN_TRIES = 0.02

Synchronous = Literal["FULL", "NORMAL"]

_ANSWERS = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY,
    phase TEXT NOT NULL,
    model TEXT NOT NULL,
    request TEXT NOT NULL,
    response TEXT NOT NULL,
    cost_usd REAL,
    created TEXT NOT NULL
)
"""
# What all answers cost is asked for again and again; without this, each time reads all of them.
_COSTS = "CREATE INDEX IF NOT EXISTS answers_costs ON answers (phase, cost_usd)"
_CLAIMS = "CREATE TABLE IF NOT EXISTS claims (key TEXT PRIMARY KEY, owner TEXT NOT NULL, until REAL NOT NULL)"

# An owner that was stopped beyond its lease may buy what another buys: the first stays, and both prices count.
_DIALECT = Dialect(
    insert=f"INSERT INTO answers ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) "  # noqa: S608
    "ON CONFLICT (key) DO UPDATE SET cost_usd = coalesce(cost_usd, 0) + excluded.cost_usd "
    "WHERE excluded.cost_usd IS NOT NULL",
    row=row_of,
    paid="SELECT phase, count(*), total(json_extract(response, '$.usage.prompt_tokens')), "
    "total(json_extract(response, '$.usage.completion_tokens')), total(cost_usd) "
    "FROM answers GROUP BY phase ORDER BY phase",
    now="((julianday('now') - 2440587.5) * 86400.0)",
)


class SqliteJournal(DatabaseJournal):
    """A journal in one SQLite file, shared by threads and processes of one machine.

    `synchronous=FULL` makes a commit survive a power cut. The claims are in a file of their own, `<name>-claims`, with
    `synchronous=NORMAL`: a power cut may lose the last of them, but they neither wait for the disk nor for the answers.

    Raises:
        DistilError: the file cannot be opened, or is no journal that this version reads.
    """

    def __init__(self, path: Path, lease_seconds: float = LEASE_SECONDS) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        claims = path.with_name(f"{path.name}-claims")
        try:
            reader, writer = (_opened(path, (_ANSWERS, _COSTS), "FULL") for _ in range(2))
            claimer = _opened(claims, (_CLAIMS,), "NORMAL")
        except sqlite3.Error as error:
            raise DistilError(f"{path}: cannot be opened as a journal of answers: {error}") from None
        super().__init__(str(path), _DIALECT, reader, writer, claimer, lease_seconds)


def _opened(path: Path, create: Sequence[str], synchronous: Synchronous) -> _SqliteConnection:
    """A connection; while another makes the file's write-ahead log, SQLite refuses without waiting, so we wait."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            return _SqliteConnection(path, create, synchronous)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(_SECONDS_BETWEEN_TRIES)


class _SqliteConnection:
    def __init__(self, path: Path, create: Sequence[str], synchronous: Synchronous) -> None:
        self._connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute(f"PRAGMA synchronous = {synchronous}")
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version > _LAYOUT_VERSION:
            raise sqlite3.DatabaseError(f"it was written by a newer version (layout {version})")
        for statement in create:
            self._connection.execute(statement)
        if version < _LAYOUT_VERSION:
            self._connection.execute(f"PRAGMA user_version = {_LAYOUT_VERSION}")

    def run(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        try:
            with self._connection:
                return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise DatabaseTrouble(str(error)) from None

    def run_for_each(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        try:
            with self._connection:
                self._connection.executemany(statement, rows)
        except sqlite3.Error as error:
            raise DatabaseTrouble(str(error)) from None

    def close(self) -> None:
        self._connection.close()
