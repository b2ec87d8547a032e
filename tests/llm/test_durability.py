"""A killed run pays again at most for what was in flight when it died."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

from interrupts import heed_interrupts

from distil_dagster.llm.journal import SqliteJournal

IN_FLIGHT = 4
ASKED = 80

PROGRAM = """
import os, signal, sys
from pathlib import Path
from types import SimpleNamespace
from distil_dagster.llm import Client, Request, asking
from distil_dagster.llm.journal import SqliteJournal

url, folder, count, kill_at_reading = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "yes"
route = SimpleNamespace(model="openai/{name}", base_url=url, api_key_env=None, extra={})
if kill_at_reading:
    asking.read_answer = lambda *answer, **rest: os.kill(os.getpid(), signal.SIGKILL)
journal = SqliteJournal(folder / "journal.sqlite", lease_seconds=2.0)
client = Client(journal, lambda name: route, parallel_requests=4)
questions = [Request("teacher", ({"role": "user", "content": str(number)},)) for number in range(count)]
try:
    client.ask(questions, "answers")
except KeyboardInterrupt:
    print("interrupted")
    client.close()
"""


def start(server, folder, count, kill_at_reading="no"):
    command = [sys.executable, "-c", PROGRAM, server.url, str(folder), str(count), kill_at_reading]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=heed_interrupts)


def answer_until(server, reply, count):
    """Let the server answer, and set the event it gives back when it has seen `count` requests."""
    reached = threading.Event()

    def behaviour(number, body):
        if number >= count:
            reached.set()
        return reply(body["messages"][-1]["content"], seconds=0.02)

    server.behaviour = behaviour
    return reached


def test_a_killed_run_buys_again_only_what_was_in_flight(server, make_client, question, reply, tmp_path):
    reached = answer_until(server, reply, ASKED // 2)
    child = start(server, tmp_path, ASKED)
    assert reached.wait(60)
    child.kill()
    assert child.wait() == -signal.SIGKILL
    asked_before = sum(server.questions.values())
    results = make_client().ask([question(str(number)) for number in range(ASKED)], "answers")
    assert [result.text for result in results] == [str(number) for number in range(ASKED)]
    assert asked_before < ASKED
    bought_again = sum(count - 1 for count in server.questions.values())
    assert bought_again <= IN_FLIGHT


def test_an_answer_is_on_the_disk_before_anything_reads_it(server, reply, tmp_path):
    child = start(server, tmp_path, 1, kill_at_reading="yes")
    assert child.wait() == -signal.SIGKILL
    assert len(server.bodies) == 1
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    assert len(journal.spend_by_phase()) == 1
    journal.close()


def test_an_interrupted_run_leaves_the_journal_whole(server, make_client, question, reply, tmp_path):
    reached = answer_until(server, reply, ASKED // 2)
    child = start(server, tmp_path, ASKED)
    assert reached.wait(60)
    child.send_signal(signal.SIGINT)
    assert child.communicate()[0] == "interrupted\n"
    assert child.returncode == 0
    make_client().ask([question(str(number)) for number in range(ASKED)], "answers")
    assert sum(count - 1 for count in server.questions.values()) <= IN_FLIGHT
