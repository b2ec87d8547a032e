"""Which journal it is: the shared one that the environment names, or the file in a folder."""

from __future__ import annotations

import os
from pathlib import Path

from distil_dagster.llm.journal.postgres import PostgresJournal
from distil_dagster.llm.journal.protocol import Journal
from distil_dagster.llm.journal.sqlite import SqliteJournal

SHARED_JOURNAL = "DISTIL_JOURNAL"


def open_journal(folder: Path) -> Journal:
    """The PostgreSQL database whose URL is in DISTIL_JOURNAL, or `folder`/journal.sqlite where that is not set.

    Raises:
        DistilError: the URL is none of PostgreSQL, or the journal cannot be opened.
    """
    url = os.environ.get(SHARED_JOURNAL, "")
    return PostgresJournal(url) if url else SqliteJournal(folder / "journal.sqlite")
