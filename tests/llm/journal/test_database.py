"""What every journal does, whatever database keeps it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distil_dagster.errors import DistilError
from distil_dagster.llm.journal import Paid

WRITER = """
import sys
from pathlib import Path
from distil_dagster.llm.answers import RawAnswer
from distil_dagster.llm.journal import Entry, open_journal
from distil_dagster.llm.requests import Usage
journal = open_journal(Path(sys.argv[1]))
for number in range(40):
    answer = RawAnswer("fine", (), "stop", Usage(), 1.0)
    journal.put(Entry(f"{sys.argv[2]}-{number}", "answers", "m", "{}", answer)).result()
journal.close()
"""


def test_an_answer_is_there_for_others_once_its_future_is_done(journal, place, open_at, entry):
    journal.put(entry("a")).result()
    assert open_at(place).get_many(["a", "b"]) == {"a": entry("a").answer}


def test_many_keys_are_found_in_one_call(journal, entry):
    stored = [journal.put(entry(str(number), text=str(number))) for number in range(1200)]
    for future in stored:
        future.result()
    found = journal.get_many([str(number) for number in range(0, 2400, 2)] * 2)
    assert len(found) == 600
    assert found["1198"].text == "1198"
    assert journal.get_many([]) == {}


def test_spend_is_summed_by_phase_and_unknown_prices_count_as_nothing(journal, entry):
    for key, phase, cost in [("a", "answers", 0.25), ("b", "answers", None), ("c", "verdicts", 0.5)]:
        journal.put(entry(key, phase=phase, cost=cost)).result()
    assert journal.spend_by_phase() == {"answers": 0.25, "verdicts": 0.5}
    assert journal.spend("answers") == 0.25
    assert journal.spend("nothing") == 0.0
    assert journal.spend() == 0.75


def test_what_each_phase_has_paid_is_answers_tokens_and_money(journal, entry):
    assert journal.paid_by_phase() == {}
    for key, phase, cost in [("a", "answers", 0.25), ("b", "answers", None), ("c", "verdicts", None)]:
        journal.put(entry(key, text="\0", phase=phase, cost=cost)).result()
    assert journal.paid_by_phase() == {"answers": Paid(2, 6, 8, 0.25), "verdicts": Paid(1, 3, 4, 0.0)}


def test_an_answer_bought_twice_keeps_the_first_and_counts_both_prices(journal, entry):
    journal.put(entry("a", text="first")).result()
    journal.put(entry("a", text="second")).result()
    assert journal.get_many(["a"])["a"].text == "first"
    assert journal.spend() == 0.5


def test_closing_stores_what_is_still_waiting(place, open_at, entry):
    journal = open_at(place)
    for number in range(1500):
        journal.put(entry(str(number)))
    journal.close()
    assert len(open_at(place).get_many([str(number) for number in range(1500)])) == 1500


def test_an_answer_that_nobody_waits_for_any_more_is_stored_all_the_same(journal, entry):
    journal.put(entry("a")).cancel()
    journal.put(entry("b")).result()
    assert set(journal.get_many(["a", "b"])) == {"a", "b"}


def test_threads_share_a_journal(journal, entry):
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


def test_processes_that_start_together_share_a_journal(place, open_at, tmp_path):
    environment = os.environ | ({} if isinstance(place, Path) else {"DISTIL_JOURNAL": place})
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen([*command, name], env=environment) for name in "abc"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert open_at(place).spend() == 120.0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(st.text(st.characters()))
def test_any_text_can_be_stored_lone_surrogates_and_nul_too(journal, entry, text):
    key = str(abs(hash(text)))
    journal.put(entry(key, text=text)).result()
    assert journal.get_many([key])[key].text == text


def test_a_journal_without_its_table_says_that_it_cannot_be_used(journal, entry, drop):
    drop("answers")
    with pytest.raises(DistilError, match="cannot be stored"):
        journal.put(entry("a")).result()
    with pytest.raises(DistilError, match="cannot be read"):
        journal.get_many(["a"])
