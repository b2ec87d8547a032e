"""A small folder with gold answers, the project's own example, and a client that asks as any other would."""

import json
import re
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from simulator.invented import (
    write_counter,
    write_facts,
    write_lines,
    write_museum,
    write_reading,
    write_workshop,
)

from distil_dagster.llm.client import Client
from distil_dagster.llm.journal import SqliteJournal
from distil_dagster.llm.pacing import Patience
from distil_dagster.simulator import SimulatedTeacher
from distil_dagster.simulator.folders import knowledge_of
from distil_dagster.simulator.rule_knowledge import RuleKnowledge

REPOSITORY = Path(__file__).parents[2]
SYSTEM = {"role": "system", "content": "Route the question."}

GOLD = [
    ("Where is my card?", "card_arrival", "card_arrival", "clean"),
    ("How do I change my PIN?", "change_pin", "card_arrival", "wrong_label"),
    ("Somebody stole my card!", "lost_card", "The class is lost_card.", "wrong_label"),
    ("Recommend a pasta recipe.", None, "card_arrival", "irrelevant"),
    ("My card has not come by post yet.", "card_arrival", "card_ar", "corrupted"),
    ("Where is my card?", "card_arrival", "card_arrival", "duplicate"),
    ("How do I pick a new PIN?", "change_pin", "change_pin", "clean"),
    ("I left my card on the train.", "lost_card", "lost_card", "clean"),
]


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict
    body: dict

    @property
    def text(self):
        return self.body["choices"][0]["message"]["content"]

    @property
    def finish_reason(self):
        return self.body["choices"][0]["finish_reason"]

    @property
    def parsed(self):
        return json.loads(self.text)


@pytest.fixture(scope="session")
def example_folder():
    return REPOSITORY / "examples" / "ticket_routing"


@pytest.fixture(scope="session")
def banking_folder():
    folder = REPOSITORY.parent / "shared" / "cases" / "banking77_10class"
    if not folder.is_dir():
        pytest.skip("the folder of real data sets is not beside the checkout")
    return folder


@pytest.fixture(scope="session")
def gold_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gold")
    traces, gold = [], []
    for line, (question, answer, observed, noise) in enumerate(GOLD, start=1):
        turns = [SYSTEM, {"role": "user", "content": question}, {"role": "assistant", "content": observed}]
        traces.append({"messages": turns})
        known = {"line": line, "noise": noise, "question": question, "answer": answer, "observed": observed}
        gold.append(known | ({"orig_noise": "clean"} if noise == "duplicate" else {}))
    write_lines(folder / "traces.jsonl", traces)
    write_lines(folder / "gold.jsonl", gold)
    write_lines(folder / "train.jsonl", [{"question": "My new card is late.", "answer": "card_arrival"}])
    write_lines(folder / "test.jsonl", [{"question": "Can the PIN be altered?", "answer": "change_pin"}])
    return folder


@pytest.fixture(scope="session")
def workshop_folder(tmp_path_factory):
    return write_workshop(tmp_path_factory.mktemp("workshop"))


@pytest.fixture(scope="session")
def counter_folder(tmp_path_factory):
    return write_counter(tmp_path_factory.mktemp("counter"))


@pytest.fixture(scope="session")
def museum_folder(tmp_path_factory):
    return write_museum(tmp_path_factory.mktemp("museum"))


@pytest.fixture(scope="session")
def reading_folder(tmp_path_factory):
    return write_reading(tmp_path_factory.mktemp("reading"))


@pytest.fixture(scope="session")
def facts_folder(tmp_path_factory):
    return write_facts(tmp_path_factory.mktemp("facts"))


@pytest.fixture(scope="session")
def rougel():
    """ROUGE-L F1 of two texts, without stemming."""

    def similarity(one, other):
        from rapidfuzz.distance import Indel

        words = [re.findall(r"[a-z0-9]+", text.casefold()) for text in (one, other)]
        return Indel.normalized_similarity(*words)

    return similarity


@pytest.fixture(scope="session")
def gold(gold_folder):
    return knowledge_of(gold_folder)


@pytest.fixture(scope="session")
def rules(example_folder):
    return RuleKnowledge.of(example_folder)


@pytest.fixture(scope="session")
def post():
    """Send a body to a simulated teacher; a response with an error status is a response, not an exception."""

    def send(teacher, body, timeout=20):
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"{teacher.base_url}/chat/completions", data=payload, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                return Response(response.status, dict(response.headers), json.load(response))
        except urllib.error.HTTPError as error:
            return Response(error.code, dict(error.headers), json.load(error))

    return send


@pytest.fixture
def get():
    def fetch(teacher, path):
        with urllib.request.urlopen(f"{teacher.base_url.removesuffix('/v1')}{path}", timeout=20) as response:
            return Response(response.status, dict(response.headers), json.load(response))

    return fetch


@pytest.fixture(scope="session")
def body():
    """The body of a structured request."""

    def build(role, *turns, model="teacher", schema=None, **parameters):
        roles = ["user", "assistant"]
        messages = [SYSTEM, *({"role": roles[place % 2], "content": turn} for place, turn in enumerate(turns))]
        wanted = {"type": "json_schema", "json_schema": {"name": role, "schema": schema or {"type": "object"}}}
        return {"model": model, "messages": messages, "response_format": wanted} | parameters

    return build


@pytest.fixture(scope="session")
def class_schema():
    classes = ["card_arrival", "change_pin", "lost_card"]
    return {"type": "object", "properties": {"answer": {"enum": classes, "type": "string"}}}


@pytest.fixture(scope="module")
def teacher(gold_folder):
    """A simulated teacher that never errs."""
    with SimulatedTeacher(gold_folder) as running:
        yield running


@dataclass(frozen=True)
class Route:
    base_url: str
    model: str = "openai/simulated/{name}"
    api_key_env: str | None = None
    extra: dict = field(default_factory=dict)


@pytest.fixture
def client(tmp_path, monkeypatch):
    """The project's own client of a simulated teacher."""
    monkeypatch.setenv("OPENAI_API_KEY", "none-needed")
    opened = []

    def build(teacher):
        opened.append(
            Client(
                journal=SqliteJournal(tmp_path / f"journal-{len(opened)}.sqlite"),
                routes=lambda _name: Route(teacher.base_url),
                parallel_requests=8,
                patience=Patience(first_delay=0.01, longest_delay=0.05, attempts=30),
            )
        )
        return opened[-1]

    yield build
    for each in opened:
        each.close()
