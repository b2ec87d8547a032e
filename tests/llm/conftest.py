"""A provider on this machine: an OpenAI-compatible server whose behaviour a test writes down."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from postgres import postgres_server

from distil_dagster.llm.client import Client
from distil_dagster.llm.journal import PostgresJournal, SqliteJournal
from distil_dagster.llm.pacing import Patience
from distil_dagster.llm.requests import Request


@dataclass(frozen=True)
class Reply:
    """What the server does with one request."""

    text: str = "fine"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    finish_reason: str = "stop"
    message: dict[str, Any] = field(default_factory=dict)
    raw: str | None = None
    usage: dict[str, Any] = field(default_factory=lambda: {"prompt_tokens": 10, "completion_tokens": 5})


Behaviour = Callable[[int, dict[str, Any]], Reply]


def echo(number: int, body: dict[str, Any]) -> Reply:
    return Reply(text=f"echo {body['messages'][-1]['content']}")


class Server:
    """Answers as `behaviour(number of the request, its body)` says, and remembers what it saw."""

    def __init__(self) -> None:
        self.behaviour: Behaviour = echo
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self._ready.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def questions(self) -> Counter[str]:
        return Counter(body["messages"][-1]["content"] for body in self.bodies)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        await self._runner.cleanup()
        hanging = asyncio.all_tasks() - {asyncio.current_task()}
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            reply = self.behaviour(len(self.bodies), body)
            await asyncio.sleep(reply.seconds)
        finally:
            self.in_flight -= 1
        return web.Response(status=reply.status, headers=reply.headers, text=_body_of(reply))


def _body_of(reply: Reply) -> str:
    if reply.raw is not None:
        return reply.raw
    if reply.status != 200:
        return json.dumps({"error": {"message": reply.text}})
    message = {"role": "assistant", "content": reply.text} | reply.message
    return json.dumps({"choices": [{"message": message, "finish_reason": reply.finish_reason}], "usage": reply.usage})


@dataclass(frozen=True)
class LocalRoute:
    model: str = "openai/{name}"
    base_url: str | None = None
    api_key_env: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


QUICK = Patience(
    attempts=4,
    attempts_before_first_answer=2,
    attempt_seconds=5.0,
    deadline_seconds=10.0,
    first_delay=0.01,
    longest_delay=0.02,
    stop_after=3,
)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def dead_url() -> str:
    """An address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


@pytest.fixture
def make_client(server: Server, tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """A client of the server with its journal in the test's folder; keyword arguments replace its defaults."""
    clients: list[Client] = []

    def make(route: LocalRoute | None = None, folder: Path = tmp_path, **settings: Any) -> Client:
        route = route or LocalRoute(base_url=server.url)
        settings = {"parallel_requests": 4, "patience": QUICK} | settings
        client = Client(SqliteJournal(folder / "journal.sqlite"), lambda name: route, **settings)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def question() -> Callable[..., Request]:
    """A request whose last user message is the given text."""

    def ask(text: str, **fields: Any) -> Request:
        return Request(model="teacher", messages=({"role": "user", "content": text},), **fields)

    return ask


@pytest.fixture
def reply() -> type[Reply]:
    return Reply


@pytest.fixture
def make_route() -> type[LocalRoute]:
    return LocalRoute


@pytest.fixture
def make_patience() -> Callable[..., Patience]:
    """The tests' patience with some of its times changed."""

    def make(**changes: Any) -> Patience:
        return replace(QUICK, **changes)

    return make


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres_server(tmp_path_factory.mktemp("postgres")) as url:
        yield url


@pytest.fixture
def database_url(postgres_url: str) -> str:
    """The URL of a database that nobody else uses: a schema of its own."""
    import psycopg2

    name = f"test_{uuid.uuid4().hex}"
    connection = psycopg2.connect(postgres_url)
    connection.autocommit = True
    connection.cursor().execute(f"CREATE SCHEMA {name}")
    connection.close()
    return f"{postgres_url}?options=-csearch_path%3D{name}"


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a journal may be: the path of a file, or the URL of a database."""
    return tmp_path / "journal.sqlite" if request.param == "sqlite" else request.getfixturevalue("database_url")


@pytest.fixture
def open_at() -> Iterator[Callable[..., SqliteJournal | PostgresJournal]]:
    """Open a journal at a place; it is closed at the end of the test."""
    journals = []

    def open_it(place: Path | str, **settings: float) -> SqliteJournal | PostgresJournal:
        kind = SqliteJournal if isinstance(place, Path) else PostgresJournal
        journals.append(kind(place, **settings))
        return journals[-1]

    yield open_it
    for journal in journals:
        journal.close()
