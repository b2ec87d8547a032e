from __future__ import annotations

import logging
import threading
from urllib.parse import urlsplit

import psycopg2
import pytest
from postgres import PASSWORD, postgres_server

from distil_dagster.errors import DistilError
from distil_dagster.llm.journal import Claimed, PostgresJournal


def execute(url, statement):
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statement)
        rows = cursor.fetchall() if cursor.description else []
    connection.close()
    return rows


CUT_OTHERS = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE application_name = 'distil_dagster' AND pid <> pg_backend_pid()"
)


def test_many_that_open_a_new_journal_together_all_succeed(database_url):
    opened, start = [], threading.Barrier(6)

    def open_one():
        start.wait()
        opened.append(PostgresJournal(database_url))

    threads = [threading.Thread(target=open_one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 6
    for journal in opened:
        journal.close()
    assert execute(database_url, "SELECT version FROM layout") == [(1,)]


def test_a_journal_of_a_newer_version_is_left_alone(database_url):
    execute(database_url, "CREATE TABLE layout (version integer); INSERT INTO layout VALUES (99)")
    with pytest.raises(DistilError, match=r"cannot be opened .* newer version \(layout 99\)"):
        PostgresJournal(database_url)


def test_a_lost_connection_is_made_anew_and_nothing_is_lost(database_url, open_at, entry):
    journal = open_at(database_url)
    for number in range(3):
        assert execute(database_url, CUT_OTHERS)[0][0] >= 3
        assert journal.claim(str(number)).result() == Claimed()
        journal.put(entry(str(number))).result()
        assert list(journal.get_many([str(number)])) == [str(number)]
    assert journal.spend() == 0.75


def test_an_answer_whose_connection_was_lost_after_the_commit_counts_once(database_url, open_at, entry, monkeypatch):
    import psycopg2.extras

    whole, calls = psycopg2.extras.execute_batch, []

    def lose_the_first(*arguments, **settings):
        whole(*arguments, **settings)
        calls.append(arguments)
        if len(calls) == 1:
            raise psycopg2.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(psycopg2.extras, "execute_batch", lose_the_first)
    journal = open_at(database_url)
    journal.put(entry("a", cost=0.5)).result()
    assert len(calls) == 2
    assert journal.spend() == 0.5
    assert journal.paid_by_phase()["answers"].answers == 1


def test_a_claim_whose_connection_was_lost_after_the_commit_ends_with_the_lease(database_url, open_at):
    """Then nobody knows that it is there, its owner neither: it must not be renewed."""
    journal = open_at(database_url, lease_seconds=1.0)
    assert journal.claim("known").result() == Claimed()
    execute(database_url, "INSERT INTO claims SELECT 'unknown', owner, until FROM claims WHERE key = 'known'")
    threading.Event().wait(2.5)
    assert journal.claim("unknown").result() == Claimed()
    assert journal.claim("known").result() != Claimed()


def test_a_server_that_is_gone_is_an_error_that_does_not_tell_the_password(tmp_path, entry, caplog):
    caplog.set_level(logging.DEBUG)
    with postgres_server(tmp_path) as url:
        journal = PostgresJournal(url, lease_seconds=0.4, reconnect_seconds=0.5)
        journal.claim("a").result()
    with pytest.raises(DistilError, match="answers cannot be stored") as storing:
        journal.put(entry("a")).result()
    with pytest.raises(DistilError, match="the journal cannot be read") as reading:
        journal.get_many(["a"])
    with pytest.raises(DistilError, match="requests cannot be claimed") as claiming:
        journal.claim("b").result()
    with pytest.raises(DistilError, match="cannot be opened as a journal") as opening:
        PostgresJournal(url)
    journal.close()
    messages = [str(caught.value) for caught in (storing, reading, claiming, opening)]
    address = urlsplit(url)
    assert all(message.startswith(f"postgresql://127.0.0.1:{address.port}/postgres: ") for message in messages)
    for text in (*messages, caplog.text, repr(journal), repr(vars(journal))):
        assert PASSWORD not in text
        assert address.password not in text


def test_a_wrong_password_is_not_told(postgres_url):
    address = urlsplit(postgres_url)
    with pytest.raises(DistilError, match="password authentication failed") as caught:
        PostgresJournal(f"postgresql://{address.username}:wrong-secret@127.0.0.1:{address.port}/postgres")
    assert "wrong-secret" not in str(caught.value)
