"""The journal: every paid answer, durable before anything reads it, so that it is never paid for twice.

`protocol.py` says what a journal does. `database.py` does it over any SQL database, with one thread that stores
(`group_commit.py`) and one that claims (`claims.py`); `sqlite.py` and `postgres.py` are the two databases.
"""

from distil_dagster.llm.journal.opening import open_journal
from distil_dagster.llm.journal.postgres import PostgresJournal
from distil_dagster.llm.journal.protocol import Claimed, Entry, Held, Journal, Paid
from distil_dagster.llm.journal.sqlite import SqliteJournal

__all__ = ["Claimed", "Entry", "Held", "Journal", "Paid", "PostgresJournal", "SqliteJournal", "open_journal"]
