"""A journal over a connection to any SQL database."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from distil_dagster.errors import DistilError
from distil_dagster.llm.answers import RawAnswer
from distil_dagster.llm.journal.claims import Claims
from distil_dagster.llm.journal.connection import Connection, DatabaseTrouble, in_parts
from distil_dagster.llm.journal.group_commit import GroupCommit
from distil_dagster.llm.journal.protocol import Claimed, Entry, Held, Paid
from distil_dagster.llm.requests import canonical_json

COLUMNS = ("key", "phase", "model", "request", "response", "cost_usd", "created")


@dataclass(frozen=True)
class Dialect:
    """Where databases differ: how an entry is stored (`row` gives the values of `insert`), what phases have paid
    (phase, answers, tokens asked with and written, US dollars), and the clock in seconds."""

    insert: str
    row: Callable[[Entry], tuple[Any, ...]]
    paid: str
    now: str


@dataclass(frozen=True)
class _Unbought:
    """A claim for which nothing was stored."""

    key: str


class DatabaseJournal:
    """A journal in the tables `answers` and `claims`, shared by threads, processes and, as the database does, machines.

    A single thread writes; it commits all answers that came in during its last commit as one transaction, so the wait
    for the disk is shared. The claims have a thread and a connection of their own, for they never wait for the disk.
    `place` names the journal in messages.
    """

    def __init__(
        self,
        place: str,
        dialect: Dialect,
        reader: Connection,
        writer: Connection,
        claimer: Connection,
        lease_seconds: float,
    ) -> None:
        self._place = place
        self._dialect = dialect
        self._reader = reader
        self._reading = threading.Lock()
        self._connection = writer
        self._claims = Claims(place, claimer, dialect.now, self.get_many, lease_seconds)
        self._writer: GroupCommit[Entry | _Unbought] = GroupCommit("journal", self._store)

    def get_many(self, keys: Sequence[str]) -> dict[str, RawAnswer]:
        """The answers that are there, by key."""
        found: dict[str, RawAnswer] = {}
        for marks, some in in_parts(list(dict.fromkeys(keys))):
            rows = self._read(f"SELECT key, response, cost_usd FROM answers WHERE key IN ({marks})", some)  # noqa: S608
            found |= {key: RawAnswer.from_json(json.loads(response), cost) for key, response, cost in rows}
        return found

    def claim(self, key: str) -> Future[Claimed | Held | RawAnswer]:
        """Take the sole right to buy an answer, or the answer where it has come meanwhile."""
        return self._claims.take(key)

    def release(self, key: str) -> None:
        """Give a claim back for which nothing was bought, once all that was put before is stored."""
        self._writer.submit(_Unbought(key))

    def put(self, entry: Entry) -> Future[None]:
        """Store an answer; the future is done when the answer would survive a crash. Its claim ends."""
        return cast("Future[None]", self._writer.submit(entry))

    def spend(self, phase: str | None = None) -> float:
        """What all answers cost, or those of one phase, in US dollars; unknown prices count as 0."""
        spent = self.spend_by_phase()
        return sum(spent.values()) if phase is None else spent.get(phase, 0.0)

    def spend_by_phase(self) -> dict[str, float]:
        """What each phase has cost, in US dollars."""
        return dict(
            self._read("SELECT phase, coalesce(sum(cost_usd), 0.0) FROM answers GROUP BY phase ORDER BY phase", ())
        )

    def paid_by_phase(self) -> dict[str, Paid]:
        """What each phase has bought since the journal began."""
        rows = self._read(self._dialect.paid, ())
        return {phase: Paid(answers, int(asked), int(written), usd) for phase, answers, asked, written, usd in rows}

    def close(self) -> None:
        """Store what is still waiting, give all claims back, and close the connections."""
        self._writer.close()
        self._claims.close()
        self._connection.close()
        with self._reading:
            self._reader.close()

    def _read(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        try:
            with self._reading:
                return self._reader.run(query, values)
        except DatabaseTrouble as trouble:
            raise DistilError(f"{self._place}: the journal cannot be read: {trouble}") from None

    def _store(self, batch: Sequence[Entry | _Unbought]) -> list[None]:
        entries = [item for item in batch if isinstance(item, Entry)]
        lost = [item.key for item in batch if isinstance(item, _Unbought)]
        try:
            if entries:
                self._connection.run_for_each(self._dialect.insert, [self._dialect.row(entry) for entry in entries])
            self._claims.answered([entry.key for entry in entries])
        except DatabaseTrouble as trouble:
            lost += [entry.key for entry in entries]
            raise DistilError(f"{self._place}: answers cannot be stored: {trouble}") from None
        finally:
            if lost:
                self._claims.give_back(lost)
        return [None] * len(batch)


def row_of(entry: Entry) -> tuple[Any, ...]:
    """The values of `COLUMNS`. ASCII JSON: answers may hold lone surrogates and NUL, which no database's text can."""
    return (
        entry.key,
        entry.phase,
        entry.model,
        entry.request,
        canonical_json(entry.answer.as_json()),
        entry.answer.cost_usd,
        datetime.now(UTC).isoformat(timespec="milliseconds"),
    )
