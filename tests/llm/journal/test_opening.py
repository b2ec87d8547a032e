from __future__ import annotations

import subprocess
import sys

import pytest

from distil_dagster.errors import DistilError
from distil_dagster.llm.journal import PostgresJournal, SqliteJournal, open_journal


@pytest.mark.parametrize("value", [None, ""])
def test_without_the_variable_the_journal_is_a_file_in_the_folder(monkeypatch, tmp_path, value):
    monkeypatch.delenv("DISTIL_JOURNAL", raising=False)
    if value is not None:
        monkeypatch.setenv("DISTIL_JOURNAL", value)
    journal = open_journal(tmp_path)
    journal.close()
    assert isinstance(journal, SqliteJournal)
    assert (tmp_path / "journal.sqlite").is_file()


def test_with_the_variable_it_is_the_shared_one_and_the_folder_stays_empty(monkeypatch, tmp_path, database_url):
    monkeypatch.setenv("DISTIL_JOURNAL", database_url)
    journal = open_journal(tmp_path)
    journal.close()
    assert isinstance(journal, PostgresJournal)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["mysql://user:geheim@host/db", "sqlite:///journal.sqlite", "user:geheim@host/db"])
def test_another_database_is_refused_without_a_word_of_the_password(monkeypatch, tmp_path, url):
    monkeypatch.setenv("DISTIL_JOURNAL", url)
    with pytest.raises(DistilError, match=r"^DISTIL_JOURNAL: .*postgresql://user:password@host") as caught:
        open_journal(tmp_path)
    assert "geheim" not in str(caught.value)


WITHOUT_DRIVER = """
import sys
from pathlib import Path
from distil_dagster.errors import DistilError
from distil_dagster.llm.journal import open_journal
assert "psycopg2" not in sys.modules
sys.modules["psycopg2"] = None
try:
    open_journal(Path("."))
except DistilError as error:
    print(error)
"""


def test_where_the_driver_is_missing_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setenv("DISTIL_JOURNAL", "postgresql://user:geheim@host/db")
    said = subprocess.run([sys.executable, "-c", WITHOUT_DRIVER], capture_output=True, text=True, check=True).stdout
    assert "pip install '.[cluster]'" in said
    assert "geheim" not in said
