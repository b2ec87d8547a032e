from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg2
import pytest

from distil_dagster.llm.answers import RawAnswer, RawToolCall
from distil_dagster.llm.journal import Entry
from distil_dagster.llm.requests import Usage


@pytest.fixture(scope="session")
def entry():
    """One bought answer."""

    def build(key, text="fine", phase="answers", cost=0.25):
        answer = RawAnswer(text, (RawToolCall("search", '{"q": 1}', "c1"),), "stop", Usage(3, 4), cost)
        return Entry(key, phase, "openai/teacher", '{"messages":[]}', answer)

    return build


@pytest.fixture
def journal(place, open_at):
    return open_at(place)


@pytest.fixture
def execute(place):
    """Run a statement on a table of the journal, past the journal."""

    def run(statement, table):
        if isinstance(place, Path):
            connection = sqlite3.connect(place if table == "answers" else place.with_name(f"{place.name}-claims"))
        else:
            connection = psycopg2.connect(place)
        cursor = connection.cursor()
        cursor.execute(statement.format(table=table))
        rows = cursor.fetchall() if cursor.description else []
        connection.commit()
        connection.close()
        return rows

    return run


@pytest.fixture
def drop(execute):
    """Remove a table from under the journal."""
    return lambda table: execute("DROP TABLE {table}", table)


@pytest.fixture
def claimed_keys(execute):
    """The keys that are claimed now."""
    return lambda: [key for (key,) in execute("SELECT key FROM {table} ORDER BY key", "claims")]
