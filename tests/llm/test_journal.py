from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distil_dagster.errors import DistilError
from distil_dagster.llm.answers import RawAnswer, RawToolCall
from distil_dagster.llm.journal import Entry, SqliteJournal
from distil_dagster.llm.requests import Usage


def entry(key, text="fine", phase="answers", cost=0.25):
    answer = RawAnswer(text, (RawToolCall("search", '{"q": 1}', "c1"),), "stop", Usage(3, 4), cost)
    return Entry(key, phase, "openai/teacher", '{"messages":[]}', answer)


@pytest.fixture
def journal(tmp_path):
    journal = SqliteJournal(tmp_path / "deep" / "journal.sqlite")
    yield journal
    journal.close()


def test_an_answer_is_on_the_disk_once_its_future_is_done(journal, tmp_path):
    journal.put(entry("a")).result()
    other = SqliteJournal(tmp_path / "deep" / "journal.sqlite")
    assert other.get_many(["a", "b"]) == {"a": entry("a").answer}
    other.close()


def test_many_keys_are_found_in_one_call(journal):
    stored = [journal.put(entry(str(number), text=str(number))) for number in range(1200)]
    for future in stored:
        future.result()
    found = journal.get_many([str(number) for number in range(0, 2400, 2)] * 2)
    assert len(found) == 600
    assert found["1198"].text == "1198"
    assert journal.get_many([]) == {}


def test_spend_is_summed_by_phase_and_unknown_prices_count_as_nothing(journal):
    for key, phase, cost in [("a", "answers", 0.25), ("b", "answers", None), ("c", "verdicts", 0.5)]:
        journal.put(entry(key, phase=phase, cost=cost)).result()
    assert journal.spend_by_phase() == {"answers": 0.25, "verdicts": 0.5}
    assert journal.spend("answers") == 0.25
    assert journal.spend("nothing") == 0.0
    assert journal.spend() == 0.75


def test_an_answer_bought_twice_keeps_the_first_and_counts_both_prices(journal):
    journal.put(entry("a", text="first")).result()
    journal.put(entry("a", text="second")).result()
    assert journal.get_many(["a"])["a"].text == "first"
    assert journal.spend() == 0.5


def test_closing_stores_what_is_still_waiting(tmp_path):
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    for number in range(1500):
        journal.put(entry(str(number)))
    journal.close()
    again = SqliteJournal(tmp_path / "journal.sqlite")
    assert len(again.get_many([str(number) for number in range(1500)])) == 1500
    again.close()


def test_an_answer_that_nobody_waits_for_any_more_is_stored_all_the_same(journal):
    journal.put(entry("a")).cancel()
    journal.put(entry("b")).result()
    assert set(journal.get_many(["a", "b"])) == {"a", "b"}


def test_threads_share_a_journal(journal):
    def write(start):
        for number in range(start, start + 50):
            journal.put(entry(str(number))).result()
            assert str(number) in journal.get_many([str(number)])

    threads = [threading.Thread(target=write, args=(start,)) for start in range(0, 200, 50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(journal.get_many([str(number) for number in range(200)])) == 200


WRITER = """
import sys
from pathlib import Path
from distil_dagster.llm.answers import RawAnswer
from distil_dagster.llm.journal import Entry, SqliteJournal
from distil_dagster.llm.requests import Usage
journal = SqliteJournal(Path(sys.argv[1]))
for number in range(40):
    answer = RawAnswer("fine", (), "stop", Usage(), 1.0)
    journal.put(Entry(f"{sys.argv[2]}-{number}", "answers", "m", "{}", answer)).result()
journal.close()
"""


def test_processes_share_a_journal(tmp_path):
    path = tmp_path / "journal.sqlite"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in "abc"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    journal = SqliteJournal(path)
    assert journal.spend() == 120.0
    journal.close()


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


def test_a_failed_write_reaches_the_one_who_waits(journal, tmp_path):
    connection = sqlite3.connect(tmp_path / "deep" / "journal.sqlite")
    connection.execute("DROP TABLE answers")
    connection.close()
    with pytest.raises(DistilError, match="cannot be stored"):
        journal.put(entry("a")).result()
    with pytest.raises(DistilError, match="cannot be read"):
        journal.get_many(["a"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(st.text(st.characters()))
def test_any_text_can_be_stored_lone_surrogates_too(journal, text):
    key = str(abs(hash(text)))
    journal.put(entry(key, text=text)).result()
    assert journal.get_many([key])[key].text == text
