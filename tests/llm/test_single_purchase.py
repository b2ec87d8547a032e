"""Several processes want the same answers at the same moment: each is paid for once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from pydantic import BaseModel

from distil_dagster.errors import BudgetError, ProviderError
from distil_dagster.llm.buying import Order
from distil_dagster.llm.journal import Claimed, Held
from distil_dagster.llm.journal.claims import LEASE_SECONDS
from distil_dagster.llm.requests import Failed
from distil_dagster.simulator import Faults, Options, SimulatedTeacher

CASE = Path(__file__).parents[2] / "examples" / "ticket_routing"
ASKED = 200
PARALLEL = 8
SHORT_LEASE = 2.0

PROGRAM = """
import json, os, sys
from pathlib import Path
from types import SimpleNamespace
from distil_dagster.llm import Answered, Client, Request
from distil_dagster.llm.journal import PostgresJournal, SqliteJournal
from distil_dagster.llm.pacing import Patience

place, url, count, lease = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
kind, place = (PostgresJournal, place) if "://" in place else (SqliteJournal, Path(place))
route = SimpleNamespace(model="openai/{name}", base_url=url, api_key_env=None, extra={})

def question(name):
    return Request("teacher", ({"role": "user", "content": f"Mail {name}: I would like my money back."},))

patience = Patience(first_delay=0.01, longest_delay=0.05, attempts=30)
with Client(kind(place, lease_seconds=lease), lambda name: route, 8, patience=patience) as client:
    client.ask([question(f"of process {os.getpid()}")], "warming up")
    print("ready", flush=True)
    sys.stdin.readline()
    answers = client.ask([question(number) for number in range(count)], "answers")
    counts = client.counts("answers")
good = sum(isinstance(answer, Answered) for answer in answers)
print(json.dumps({"good": good, "bought": counts.bought, "found": counts.from_journal}), flush=True)
"""


class Verdict(BaseModel):
    good: bool


class Buyer:
    """A process that asks everything once it is told to."""

    def __init__(self, place, teacher, lease_seconds):
        command = [sys.executable, "-c", PROGRAM, str(place), teacher.base_url, str(ASKED), str(lease_seconds)]
        environment = os.environ | {"OPENAI_API_KEY": "none-needed"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def be_ready(self):
        assert self.process.stdout.readline() == "ready\n"

    def start(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def result(self):
        out, _ = self.process.communicate(timeout=60)
        return json.loads(out)


@pytest.fixture
def buyers():
    """Start processes; none outlives the test."""
    started = []

    def make(*arguments, count):
        made = [Buyer(*arguments) for _ in range(count)]
        started.extend(made)
        for buyer in made:
            buyer.be_ready()
        return made

    yield make
    for buyer in started:
        buyer.process.kill()
        buyer.process.communicate()


@pytest.mark.parametrize("faults", [Faults(), Faults(refuse=0.1, fail=0.1)], ids=["a quiet teacher", "faults"])
def test_processes_that_ask_the_same_pay_once_and_share_the_work(place, buyers, faults):
    with SimulatedTeacher(CASE, Options(latency=0.05, faults=faults, retry_after=0.01)) as teacher:
        racing = buyers(place, teacher, LEASE_SECONDS, count=3)
        for buyer in racing:
            buyer.start()
        results = [buyer.result() for buyer in racing]
        bodies = teacher.stats()["bodies"]
    assert bodies["distinct"] == ASKED + 3
    assert bodies["answered_more_than_once"] == 0
    assert [result["good"] for result in results] == [ASKED] * 3
    assert sum(result["bought"] for result in results) == ASKED
    assert all(result["bought"] + result["found"] == ASKED for result in results)
    assert all(result["bought"] > 0 for result in results)


def test_what_a_killed_process_had_in_flight_is_bought_by_another_after_the_lease(place, buyers):
    with SimulatedTeacher(CASE, Options(latency=0.3)) as teacher:
        killed, heir = buyers(place, teacher, SHORT_LEASE, count=2)
        killed.start()
        wait_until(lambda: teacher.stats()["by_outcome"].get("answered", 0) >= 2 * PARALLEL)
        killed.process.send_signal(signal.SIGKILL)
        killed.process.wait()
        heir.start()
        result = heir.result()
        bodies = teacher.stats()["bodies"]
    assert result["good"] == ASKED
    assert result["found"] >= PARALLEL
    assert bodies["answered_more_than_once"] <= PARALLEL


def wait_until(reached):
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_threads_of_one_client_pay_once(server, make_client, question, reply):
    server.behaviour = lambda number, body: reply("fine", seconds=0.05)
    client, results = make_client(), []
    questions = [question(str(number)) for number in range(20)]
    threads = [threading.Thread(target=lambda: results.append(client.ask(questions, "answers"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(server.questions.values()) == 20
    assert [len(result) for result in results] == [20] * 3
    assert client.counts("answers").bought == 20
    assert client.counts("answers").from_journal == 40


def test_where_the_owner_fails_the_one_who_waited_tries_itself(server, make_client, question, reply, tmp_path):
    first_came = threading.Event()

    def behaviour(number, body):
        first_came.set()
        return reply("no", status=400, seconds=0.3) if number == 1 else reply("fine")

    server.behaviour = behaviour
    owner, waiter, failed = make_client(), make_client(), []
    asking = threading.Thread(target=lambda: failed.extend(owner.ask([question("a")], "answers")))
    asking.start()
    assert first_came.wait(10)
    (answer,) = waiter.ask([question("a")], "answers")
    asking.join()
    assert isinstance(failed[0], Failed)
    assert (answer.text, answer.from_journal) == ("fine", False)
    assert len(server.bodies) == 2


def test_a_repair_that_another_is_buying_is_waited_for(server, make_client, question, reply):
    def behaviour(number, body):
        repairing = len(body["messages"]) > 1
        return reply('{"good": true}' if repairing else "yes", seconds=0.2)

    server.behaviour = behaviour
    clients, results = [make_client(), make_client()], []
    asked = [question("a", schema=Verdict)]
    threads = [
        threading.Thread(target=lambda client=client: results.extend(client.ask(asked, "answers")))
        for client in clients
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.bodies) == 2
    assert [result.parsed.good for result in results] == [True, True]


def test_an_answer_that_another_buys_is_not_waited_for_once_the_budget_is_exhausted(
    server, make_client, question, make_route, tmp_path, open_at
):
    route = make_route(base_url=server.url, extra={"input_cost_per_token": 1.0, "output_cost_per_token": 1.0})
    other = open_at(tmp_path / "journal.sqlite")
    assert other.claim(Order.of(question("a"), route).key).result() == Claimed()
    client = make_client(route=route, budget_usd=0.5)
    started = time.monotonic()
    with pytest.raises(BudgetError):
        client.ask([question("a"), question("b")], "answers")
    assert time.monotonic() - started < 5
    assert server.bodies == []


def test_recalling_claims_nothing(server, make_client, question, make_route, tmp_path, open_at):
    assert make_client().recall([question("a")], "answers")[0].reason == "not_bought"
    key = Order.of(question("a"), make_route(base_url=server.url)).key
    assert open_at(tmp_path / "journal.sqlite").claim(key).result() == Claimed()


def test_a_call_that_fails_leaves_no_claim_though_its_client_goes_on(
    server, make_client, question, reply, make_route, tmp_path, open_at
):
    def behaviour(number, body):
        denied = body["messages"][-1]["content"] == "denied"
        return reply("no", status=401, seconds=0.2) if denied else reply("fine", seconds=0.1)

    server.behaviour = behaviour
    client, other = make_client(), open_at(tmp_path / "journal.sqlite")
    with pytest.raises(ProviderError):
        client.ask([question(text) for text in ("denied", *"abcdefghijklmnop")], "answers")
    for text in ("denied", *"abcdefghijklmnop"):
        key = Order.of(question(text), make_route(base_url=server.url)).key
        wait_until(lambda key=key: other.claim(key).result() != Held())
