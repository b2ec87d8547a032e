"""The HTTP face of the simulated provider."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from threading import Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any

from distil_dagster.errors import DistilError
from distil_dagster.simulator.call import Call, NotACall, read_call
from distil_dagster.simulator.completion import Reply, completion, cut_in_half, failure, within_limit
from distil_dagster.simulator.faults import garbled
from distil_dagster.simulator.folders import knowledge_of
from distil_dagster.simulator.knowledge import Knowledge
from distil_dagster.simulator.options import Options
from distil_dagster.simulator.roles import ROLES, Chance, play
from distil_dagster.simulator.stats import Outcome, Stats

if TYPE_CHECKING:
    from aiohttp import web

ANNOUNCEMENT = {"X-Simulated": "distil-dagster"}
# Long judge or filter prompts with many traces exceed aiohttp's default of 1 MiB.
LARGEST_REQUEST_BYTES = 64 * 1024**2


class Provider:
    """Answers chat requests out of a folder's knowledge, with the faults that the options ask for."""

    def __init__(self, knowledge: Knowledge, options: Options) -> None:
        self.stats = Stats(options.stats_file)
        self._knowledge = knowledge
        self._options = options

    def application(self) -> web.Application:
        """The routes, each response announced as simulated."""
        from aiohttp import web

        async def announce(_request: web.Request, response: web.StreamResponse) -> None:
            response.headers.update(ANNOUNCEMENT)

        application = web.Application(client_max_size=LARGEST_REQUEST_BYTES)
        application.on_response_prepare.append(announce)
        application.router.add_post("/v1/chat/completions", self.chat)
        application.router.add_get("/v1/models", self.models)
        application.router.add_get("/_stats", self.counts)
        application.router.add_get("/_healthz", self.health)
        return application

    async def chat(self, request: web.Request) -> web.Response:
        """One chat completion, or the error that a provider would send."""
        call = read_call(await request.read())
        if isinstance(call, NotACall):
            return _response(failure(call.reason, "invalid_request_error"), 400)
        attempt = self.stats.arrived(call.role, call.model, call.digest)
        if call.role not in ROLES:
            self.stats.left("invalid", call.digest)
            return _response(failure(_unknown_role(call.role), "invalid_request_error"), 400)
        if self._options.slots is not None and self.stats.in_flight > self._options.slots:
            self.stats.left("no_slot", call.digest)
            return self._refusal("all slots are busy")
        try:
            return await self._served(call, attempt)
        except asyncio.CancelledError:
            self.stats.left("abandoned", call.digest)
            raise

    async def _served(self, call: Call, attempt: int) -> web.Response:
        fault = self._options.faults.draw(self._options.seed, call.digest, attempt)
        if fault == "refuse":
            self.stats.left("refused", call.digest)
            return self._refusal("too many requests")
        await asyncio.sleep(self._options.latency)
        if fault == "fail":
            self.stats.left("failed", call.digest)
            return _response(failure("the server had an error", "server_error"), 500)
        if fault == "hang":
            await asyncio.Event().wait()
        text = self._content(call)
        if fault == "cut":
            return self._completed(call, cut_in_half(text), "cut")
        if fault == "garble":
            return self._completed(call, Reply(garbled(text)), "garbled")
        reply = within_limit(text, call.max_tokens)
        return self._completed(call, reply, "cut" if reply.cut else "answered")

    def _content(self, call: Call) -> str:
        random = Random(f"{self._options.seed}:answer:{call.model}:{call.digest}")
        return play(call, self._knowledge, Chance(random, self._options.error_rate_of(call.model)))

    def _completed(self, call: Call, reply: Reply, outcome: Outcome) -> web.Response:
        body = completion(call, reply, created=int(time.time()))
        usage = body["usage"]
        self.stats.left(outcome, call.digest, usage["prompt_tokens"], usage["completion_tokens"])
        return _response(body, 200)

    def _refusal(self, message: str) -> web.Response:
        response = _response(failure(message, "rate_limit_error"), 429)
        response.headers["Retry-After"] = f"{self._options.retry_after:g}"
        return response

    async def models(self, _request: web.Request) -> web.Response:
        """Every model name is served; listed is one that says what it is."""
        model = {"id": "simulated-teacher", "object": "model", "created": 0, "owned_by": "distil-dagster"}
        return _response({"object": "list", "data": [model]}, 200)

    async def counts(self, _request: web.Request) -> web.Response:
        """What was asked and answered so far."""
        return _response(self.stats.snapshot(), 200)

    async def health(self, _request: web.Request) -> web.Response:
        """Says that the server takes requests."""
        return _response({"status": "ok", "simulated": True}, 200)


def _response(body: dict[str, Any], status: int) -> web.Response:
    from aiohttp import web

    return web.json_response(body, status=status)


def _unknown_role(role: str) -> str:
    return f"no simulated role answers the schema {role!r}; there are: {', '.join(sorted(ROLES))}"


async def _listen(provider: Provider, host: str, port: int) -> tuple[web.AppRunner, int]:
    """Start listening; gives what to clean up and the port, which the system chooses where `port` is 0."""
    from aiohttp import web

    # Without handler_cancellation a request whose client was killed would keep its slot until the latency is over.
    runner = web.AppRunner(provider.application(), access_log=None, handler_cancellation=True, shutdown_timeout=0.2)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
    except OSError as error:
        await runner.cleanup()
        raise DistilError(
            f"the simulator cannot listen on {host}:{port}: {error.strerror}; choose another port"
        ) from None
    return runner, runner.addresses[0][1]


async def _run(provider: Provider, host: str, port: int, started: Callable[[int], None], stop: asyncio.Event) -> None:
    runner, chosen_port = await _listen(provider, host, port)
    try:
        started(chosen_port)
        await stop.wait()
    finally:
        await runner.cleanup()


def serve(folder: Path, host: str, port: int, options: Options) -> None:
    """Serve the simulated provider for a folder until interrupted with Ctrl-C.

    Raises:
        DataError: the folder has no known answers.
        DistilError: the address cannot be listened on.
    """
    provider = Provider(knowledge_of(folder), options)

    def started(chosen_port: int) -> None:
        print(f"Simulated teacher for {folder} on http://{host}:{chosen_port}/v1 (Ctrl-C stops it)", flush=True)

    async def until_interrupted() -> None:
        await _run(provider, host, port, started, asyncio.Event())

    try:
        asyncio.run(until_interrupted())
    except KeyboardInterrupt:
        print("Simulated teacher stopped", flush=True)


class SimulatedTeacher:
    """The simulated provider in a thread of this process, on a free port of `host`, the loopback interface.

    Used as a context manager:

        with SimulatedTeacher(folder, Options(error_rate=0.1)) as teacher:
            ask(teacher.base_url)
    """

    def __init__(self, folder: Path, options: Options | None = None, host: str = "127.0.0.1") -> None:
        self._host = host
        self._provider = Provider(knowledge_of(folder), options or Options())
        self._ready = Event()
        self._port = 0
        self._failure: Exception | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = Thread(target=self._main, name="simulated-teacher", daemon=True)

    @property
    def base_url(self) -> str:
        """What an OpenAI client calls its base URL."""
        return f"http://{self._host}:{self._port}/v1"

    def stats(self) -> dict[str, Any]:
        """What was asked and answered so far."""
        return self._provider.stats.snapshot()

    def __enter__(self) -> SimulatedTeacher:
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _main(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as failure:
            self._failure = failure
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await _run(self._provider, self._host, 0, self._started, self._stop)

    def _started(self, port: int) -> None:
        self._port = port
        self._ready.set()
