"""Who wants an answer claims it first; a claim has one owner, and none for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from distil_dagster.errors import DistilError
from distil_dagster.llm.journal import Claimed, Held

LEASE = 1.2


def claim_until(journal, key, wanted, seconds):
    """Claim again and again; gives the seconds until the outcome was of that kind."""
    started = time.monotonic()
    while not isinstance(outcome := journal.claim(key).result(), wanted):
        assert time.monotonic() < started + seconds, outcome
        time.sleep(0.02)
    return time.monotonic() - started


def test_one_of_many_gets_a_claim(place, open_at):
    journals = [open_at(place) for _ in range(3)]
    keys = [str(number) for number in range(300)]
    claims = [(key, journal.claim(key)) for key in keys for journal in (*journals, journals[0])]
    winners = [key for key, claim in claims if claim.result() == Claimed()]
    assert sorted(winners) == sorted(keys)
    assert {type(claim.result()) for _, claim in claims} == {Claimed, Held}


def test_a_claim_ends_when_the_answer_is_stored_and_gives_the_answer_from_then_on(place, open_at, entry):
    owner, other = open_at(place), open_at(place)
    assert owner.claim("a").result() == Claimed()
    assert other.claim("a").result() == Held()
    owner.put(entry("a")).result()
    assert other.claim("a").result() == entry("a").answer
    assert owner.claim("a").result() == entry("a").answer


def test_a_released_claim_is_free(place, open_at):
    owner, other = open_at(place), open_at(place)
    assert owner.claim("a").result() == Claimed()
    owner.release("a")
    claim_until(other, "a", Claimed, seconds=5)
    assert owner.claim("a").result() == Held()


def test_nobody_can_release_the_claim_of_another(place, open_at):
    owner, other = open_at(place), open_at(place)
    assert owner.claim("a").result() == Claimed()
    other.release("a")
    time.sleep(0.1)
    assert other.claim("a").result() == Held()


def test_a_release_after_a_put_comes_after_it(place, open_at, entry):
    """Who is cancelled while the answer is being stored releases the claim: it must not be bought in between."""
    owner, other = open_at(place), open_at(place)
    for number in range(50):
        key = str(number)
        assert owner.claim(key).result() == Claimed()
        owner.put(entry(key))
        owner.release(key)
        claim_until(other, key, type(entry(key).answer), seconds=5)
        assert other.get_many([key])


def test_closing_gives_all_claims_back(place, open_at):
    owner, other = open_at(place), open_at(place)
    assert owner.claim("a").result() == Claimed()
    owner.close()
    assert other.claim("a").result() == Claimed()


def test_a_living_owner_keeps_its_claims_beyond_the_lease(place, open_at):
    owner, other = open_at(place, lease_seconds=LEASE), open_at(place, lease_seconds=LEASE)
    assert owner.claim("a").result() == Claimed()
    end = time.monotonic() + 2.5 * LEASE
    while time.monotonic() < end:
        assert other.claim("a").result() == Held()
        time.sleep(0.1)


OWNER = """
import sys
from pathlib import Path
from distil_dagster.llm.journal import PostgresJournal, SqliteJournal
place = sys.argv[1]
kind, place = (PostgresJournal, place) if "://" in place else (SqliteJournal, Path(place))
print(kind(place, lease_seconds=float(sys.argv[2])).claim("a").result(), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_the_claims_of_an_owner_that_was_killed_or_hangs_end_with_its_lease(place, open_at, end):
    other = open_at(place, lease_seconds=LEASE)
    command = [sys.executable, "-c", OWNER, str(place), str(LEASE)]
    owner = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert owner.stdout.readline() == "Claimed()\n"
        os.kill(owner.pid, end)
        assert claim_until(other, "a", Claimed, seconds=LEASE + 3) > LEASE / 4
    finally:
        owner.kill()
        owner.communicate()


def test_claims_that_cannot_be_made_are_an_error_of_the_one_who_asked(place, open_at, drop):
    journal = open_at(place)
    drop("claims")
    with pytest.raises(DistilError, match="cannot be claimed"):
        journal.claim("a").result()


def test_an_answer_that_cannot_be_stored_ends_its_claim(place, open_at, entry, drop, claimed_keys):
    owner = open_at(place)
    assert owner.claim("a").result() == Claimed()
    assert claimed_keys() == ["a"]
    drop("answers")
    with pytest.raises(DistilError):
        owner.put(entry("a")).result()
    deadline = time.monotonic() + 5
    while claimed_keys():
        assert time.monotonic() < deadline
        time.sleep(0.02)
