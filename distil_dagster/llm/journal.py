"""Every paid answer, durable before anything reads it, so that it is never paid for twice."""

from __future__ import annotations

import json
import queue
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from distil_dagster.errors import DistilError
from distil_dagster.llm.answers import RawAnswer
from distil_dagster.llm.requests import canonical_json

_LAYOUT_VERSION = 1
_LARGEST_COMMIT = 512
_KEYS_A_QUERY = 500
_BUSY_SECONDS = 60.0

_CREATE = """
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
# Two machines may buy one answer at the same moment: the first stays, and both prices count.
_INSERT = """
INSERT INTO answers (key, phase, model, request, response, cost_usd, created) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET cost_usd = coalesce(cost_usd, 0) + excluded.cost_usd WHERE excluded.cost_usd IS NOT NULL
"""


@dataclass(frozen=True)
class Entry:
    """One bought answer with the body that it answers, as canonical JSON, and the phase that asked."""

    key: str
    phase: str
    model: str
    request: str
    answer: RawAnswer


@dataclass(frozen=True)
class Paid:
    """What a phase has bought: answers, tokens asked with and written, US dollars."""

    answers: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float


class Journal(Protocol):
    """Where bought answers are kept: SQLite on one machine; a shared database where several work together."""

    def get_many(self, keys: Sequence[str]) -> dict[str, RawAnswer]:
        """The answers that are there, by key."""
        ...

    def put(self, entry: Entry) -> Future[None]:
        """Store an answer; the future is done when the answer would survive a crash."""
        ...

    def spend(self, phase: str | None = None) -> float:
        """What all answers cost, or those of one phase, in US dollars; unknown prices count as 0."""
        ...

    def spend_by_phase(self) -> dict[str, float]:
        """What each phase has cost, in US dollars."""
        ...

    def paid_by_phase(self) -> dict[str, Paid]:
        """What each phase has bought since the journal began."""
        ...

    def close(self) -> None:
        """Store what is still waiting, and let go of the files."""
        ...


class SqliteJournal:
    """A journal in one SQLite file, shared by threads and processes of one machine.

    A single thread writes; it commits all answers that came in during its last commit as one transaction, so the wait
    for the disk is shared. `synchronous=FULL` makes a commit survive a power cut.

    Raises:
        DistilError: the file cannot be opened, or is no journal that this version reads.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._reader = _connect(path)
            self._connection = _connect(path)
        except sqlite3.Error as error:
            raise DistilError(f"{path}: cannot be opened as a journal of answers: {error}") from None
        self._reading = threading.Lock()
        self._waiting: queue.SimpleQueue[tuple[Entry, Future[None]] | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="journal", daemon=True)
        self._writer.start()

    def get_many(self, keys: Sequence[str]) -> dict[str, RawAnswer]:
        """The answers that are there, by key."""
        found: dict[str, RawAnswer] = {}
        wanted = list(dict.fromkeys(keys))
        for start in range(0, len(wanted), _KEYS_A_QUERY):
            some = wanted[start : start + _KEYS_A_QUERY]
            marks = ",".join("?" * len(some))
            query = f"SELECT key, response, cost_usd FROM answers WHERE key IN ({marks})"  # noqa: S608 - only marks
            rows = self._read(query, some)
            found |= {key: RawAnswer.from_json(json.loads(response), cost) for key, response, cost in rows}
        return found

    def put(self, entry: Entry) -> Future[None]:
        """Store an answer; the future is done when the answer is on the disk."""
        stored: Future[None] = Future()
        self._waiting.put((entry, stored))
        return stored

    def spend(self, phase: str | None = None) -> float:
        """What all answers cost, or those of one phase, in US dollars; unknown prices count as 0."""
        spent = self.spend_by_phase()
        return sum(spent.values()) if phase is None else spent.get(phase, 0.0)

    def spend_by_phase(self) -> dict[str, float]:
        """What each phase has cost, in US dollars."""
        return dict(self._read("SELECT phase, total(cost_usd) FROM answers GROUP BY phase ORDER BY phase", ()))

    def paid_by_phase(self) -> dict[str, Paid]:
        """What each phase has bought since the journal began."""
        rows = self._read(
            "SELECT phase, count(*), total(json_extract(response, '$.usage.prompt_tokens')), "
            "total(json_extract(response, '$.usage.completion_tokens')), total(cost_usd) "
            "FROM answers GROUP BY phase ORDER BY phase",
            (),
        )
        return {phase: Paid(answers, int(asked), int(written), usd) for phase, answers, asked, written, usd in rows}

    def close(self) -> None:
        """Store what is still waiting, and close the file."""
        self._waiting.put(None)
        self._writer.join()
        self._connection.close()
        with self._reading:
            self._reader.close()

    def _read(self, query: str, values: Iterable[str]) -> list[tuple[Any, ...]]:
        try:
            with self._reading:
                return self._reader.execute(query, tuple(values)).fetchall()
        except sqlite3.Error as error:
            raise DistilError(f"{self._path}: the journal cannot be read: {error}") from None

    def _write(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch, ended = [first], False
            while len(batch) < _LARGEST_COMMIT and not self._waiting.empty():
                following = self._waiting.get()
                if following is None:
                    ended = True
                    break
                batch.append(following)
            self._commit(batch)
            if ended:
                return

    def _commit(self, batch: Sequence[tuple[Entry, Future[None]]]) -> None:
        # Whoever stopped waiting has still paid: the answer is stored, only nobody is told.
        told = [stored for _, stored in batch if stored.set_running_or_notify_cancel()]
        try:
            with self._connection:
                self._connection.executemany(_INSERT, [_row(entry) for entry, _ in batch])
        except Exception as error:  # whatever it is, those who wait must learn of it
            failure = DistilError(f"{self._path}: answers cannot be stored: {error}")
            for stored in told:
                stored.set_exception(failure)
            return
        for stored in told:
            stored.set_result(None)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > _LAYOUT_VERSION:
        raise sqlite3.DatabaseError(f"it was written by a newer version (layout {version})")
    if version < _LAYOUT_VERSION:
        connection.execute(_CREATE)
        connection.execute(f"PRAGMA user_version = {_LAYOUT_VERSION}")
    return connection


def _row(entry: Entry) -> tuple[Any, ...]:
    # ASCII JSON: answers may hold lone surrogates, which SQLite's UTF-8 cannot.
    return (
        entry.key,
        entry.phase,
        entry.model,
        entry.request,
        canonical_json(entry.answer.as_json()),
        entry.answer.cost_usd,
        datetime.now(UTC).isoformat(timespec="milliseconds"),
    )
