from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from distil_dagster.errors import DistilError
from distil_dagster.llm.journal import SqliteJournal


def test_the_folder_of_a_journal_is_made(tmp_path):
    SqliteJournal(tmp_path / "deep" / "journal.sqlite").close()
    assert (tmp_path / "deep" / "journal.sqlite").is_file()


def test_a_file_that_is_no_journal_is_named(tmp_path):
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(DistilError, match=r"journal\.sqlite: cannot be opened"):
        SqliteJournal(path)


def test_a_journal_of_a_newer_version_is_left_alone(tmp_path):
    path = tmp_path / "journal.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(DistilError, match="newer version"):
        SqliteJournal(path)


def test_claims_leave_the_file_of_answers_alone(tmp_path, open_at):
    journal = open_at(tmp_path / "journal.sqlite")
    before = (tmp_path / "journal.sqlite-wal").read_bytes()
    journal.claim("a").result()
    assert (tmp_path / "journal.sqlite-wal").read_bytes() == before
    tables = sqlite3.connect(tmp_path / "journal.sqlite-claims").execute("SELECT key FROM claims").fetchall()
    assert tables == [("a",)]


def test_many_that_open_a_new_journal_at_the_same_moment_all_get_it(tmp_path):
    for attempt in range(20):
        path, together = tmp_path / str(attempt) / "journal.sqlite", Barrier(8)

        def opened(path=path, together=together) -> None:
            together.wait()
            SqliteJournal(path).close()

        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(opened) for _ in range(8)]:
                done.result()
