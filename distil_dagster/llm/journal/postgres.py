"""The journal of several machines: a PostgreSQL database."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from distil_dagster.errors import DistilError
from distil_dagster.llm.journal.claims import LEASE_SECONDS
from distil_dagster.llm.journal.connection import DatabaseTrouble
from distil_dagster.llm.journal.database import COLUMNS, DatabaseJournal, Dialect, row_of
from distil_dagster.llm.journal.postgres_address import PostgresAddress
from distil_dagster.llm.journal.protocol import Entry

if TYPE_CHECKING:
    from psycopg2.extensions import connection, cursor

_LAYOUT_VERSION = 1
_LOCK_OF_LAYOUT = 0x64697374  # any number, as long as all take the same
_RECONNECT_SECONDS = 20.0
_SECONDS_BETWEEN_CONNECTS = 0.5

_CREATE = (
    """
CREATE TABLE IF NOT EXISTS answers (
    key text PRIMARY KEY,
    phase text NOT NULL,
    model text NOT NULL,
    request text NOT NULL,
    response text NOT NULL,
    cost_usd double precision,
    created timestamptz NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    purchase text NOT NULL
)
""",
    "CREATE INDEX IF NOT EXISTS answers_costs ON answers (phase, cost_usd)",
    # Unlogged: claims need not survive a crash of the server, and so never wait for its disk.
    "CREATE UNLOGGED TABLE IF NOT EXISTS claims (key text PRIMARY KEY, owner text NOT NULL, "
    "until double precision NOT NULL)",
    "CREATE TABLE IF NOT EXISTS layout (version integer NOT NULL)",
    f"INSERT INTO layout SELECT {_LAYOUT_VERSION} WHERE NOT EXISTS (SELECT 1 FROM layout)",  # noqa: S608
)
_COLUMNS = (*COLUMNS, "prompt_tokens", "completion_tokens", "purchase")

Result = TypeVar("Result")


def _row(entry: Entry) -> tuple[Any, ...]:
    """The purchase has a name: a connection lost at the commit leaves open whether it is stored, and it is stored
    again. Tokens are columns, for PostgreSQL reads no JSON with NUL in it."""
    usage = entry.answer.usage
    return (*row_of(entry), usage.prompt_tokens, usage.completion_tokens, uuid.uuid4().hex)


# An owner that was stopped beyond its lease may buy what another buys: the first stays, and both prices count.
_DIALECT = Dialect(
    insert=f"INSERT INTO answers ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) "  # noqa: S608
    "ON CONFLICT (key) DO UPDATE SET cost_usd = coalesce(answers.cost_usd, 0) + excluded.cost_usd, "
    "purchase = excluded.purchase "
    "WHERE excluded.cost_usd IS NOT NULL AND answers.purchase <> excluded.purchase",
    row=_row,
    paid="SELECT phase, count(*), sum(prompt_tokens), sum(completion_tokens), coalesce(sum(cost_usd), 0.0) "
    "FROM answers GROUP BY phase ORDER BY phase",
    now="extract(epoch from clock_timestamp())::double precision",
)


class PostgresJournal(DatabaseJournal):
    """A journal in a PostgreSQL database, shared by machines; its tables are made at the first opening.

    A lost connection is made anew, within `reconnect_seconds`, and what was lost with it done once more.

    Raises:
        DistilError: the URL is malformed, the server out of reach, or the journal of a newer version.
    """

    def __init__(
        self, url: str, lease_seconds: float = LEASE_SECONDS, reconnect_seconds: float = _RECONNECT_SECONDS
    ) -> None:
        address = PostgresAddress(url)
        try:
            reader, writer, claimer = (_PostgresConnection(address, reconnect_seconds) for _ in range(3))
            _prepare(writer)
        except DatabaseTrouble as trouble:
            raise DistilError(f"{address.place}: cannot be opened as a journal of answers: {trouble}") from None
        super().__init__(address.place, _DIALECT, reader, writer, claimer, lease_seconds)


class _PostgresConnection:
    """A connection that comes back: what fails with it is tried once more on a new one."""

    def __init__(self, address: PostgresAddress, reconnect_seconds: float) -> None:
        self._address = address
        self._reconnect_seconds = reconnect_seconds
        self._connection = self._connected(patience=0.0)

    def run(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        def work(cursor: cursor) -> list[tuple[Any, ...]]:
            cursor.execute(_in_driver_style(statement), values)
            return cursor.fetchall() if cursor.description else []

        return self._do(work)

    def run_for_each(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        from psycopg2.extras import execute_batch

        # In one message: one way to the server and back, and one transaction.
        self._do(lambda cursor: execute_batch(cursor, _in_driver_style(statement), rows, page_size=len(rows)))

    def close(self) -> None:
        self._connection.close()

    def _do(self, work: Callable[[cursor], Result]) -> Result:
        import psycopg2

        try:
            try:
                return self._once(work)
            except (psycopg2.OperationalError, psycopg2.InterfaceError):
                self._connection.close()
                self._connection = self._connected(self._reconnect_seconds)
                return self._once(work)
        except psycopg2.Error as error:
            raise DatabaseTrouble(self._address.without_password(error)) from None

    def _once(self, work: Callable[[cursor], Result]) -> Result:
        with self._connection.cursor() as cursor:
            return work(cursor)

    def _connected(self, patience: float) -> connection:
        """A connection, tried for `patience` seconds: a server that is started anew takes a while."""
        import psycopg2

        deadline = time.monotonic() + patience
        while True:
            try:
                return self._address.connect()
            except psycopg2.Error as error:
                if time.monotonic() > deadline:
                    raise DatabaseTrouble(self._address.without_password(error)) from None
            time.sleep(_SECONDS_BETWEEN_CONNECTS)


def _in_driver_style(statement: str) -> str:
    return statement.replace("?", "%s")


def _prepare(connection: _PostgresConnection) -> None:
    """Make the tables where there are none. Processes that start together do it one after another: it is one message
    to the server, thus one transaction, and the lock lasts as long."""
    if connection.run("SELECT to_regclass('layout')") == [(None,)]:
        connection.run("; ".join([f"SELECT pg_advisory_xact_lock({_LOCK_OF_LAYOUT})", *_CREATE]))
    ((version,),) = connection.run("SELECT max(version) FROM layout")
    if version > _LAYOUT_VERSION:
        raise DatabaseTrouble(f"it was written by a newer version (layout {version})")
