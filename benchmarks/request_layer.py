"""How close the request layer comes to a provider's limit, beside a bare HTTP client in the same minute.

A server on this machine answers after a fixed latency L. With P requests in flight, N requests cannot take less than
N·L/P seconds: the share of that limit is what counts, for absolute times say more about the machine. The last line is a
storm: the server takes 8 requests at a time and refuses the rest with `Retry-After: 1`; the share is of its capacity.

    python benchmarks/request_layer.py --requests 4000 --parallel 64
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from distil_dagster.llm import Answered, Client, Request
from distil_dagster.llm.journal import SqliteJournal

STORM_SLOTS = 8
STORM_LATENCY = 0.25
COMPLETION = json.dumps(
    {
        "choices": [{"message": {"role": "assistant", "content": "fine"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5},
    }
)


def serve(latency: float, slots: int, told: Connection) -> None:
    """Answer on a free port after `latency` seconds, `slots` requests at a time (0: any number), until killed."""
    from aiohttp import web

    busy = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal busy
        await request.read()
        if slots and busy >= slots:
            return web.Response(status=429, headers={"Retry-After": "1"}, text="{}")
        busy += 1
        try:
            await asyncio.sleep(latency)
        finally:
            busy -= 1
        return web.Response(text=COMPLETION, content_type="application/json")

    async def run() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        told.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(run())


def with_server(latency: float, slots: int, work: Callable[[str], float]) -> float:
    """Run `work` with the address of a fresh server; gives what it gives."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(latency, slots, theirs), daemon=True)
    server.start()
    try:
        return work(f"http://127.0.0.1:{ours.recv()}/v1")
    finally:
        server.terminate()
        server.join()


def seconds_of_bare_client(url: str, count: int, parallel: int) -> float:
    """Seconds that aiohttp alone takes: no journal, no checks, no retries."""
    import aiohttp

    async def run() -> float:
        numbers = iter(range(count))

        async def work(session: aiohttp.ClientSession) -> None:
            for number in numbers:
                body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": f"question {number}"}]}
                async with session.post(f"{url}/chat/completions", json=body) as response:
                    await response.json()

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            started = time.perf_counter()
            await asyncio.gather(*(work(session) for _ in range(parallel)))
            return time.perf_counter() - started

    return asyncio.run(run())


def seconds_of_request_layer(url: str, count: int, parallel: int) -> float:
    """Seconds that the client takes, every answer stored on the disk; its imports are done before the clock starts."""
    route = SimpleNamespace(model="openai/{name}", base_url=url, api_key_env=None, extra={})
    requests = [Request("m", ({"role": "user", "content": f"question {number}"},)) for number in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        journal = SqliteJournal(Path(folder) / "journal.sqlite")
        with Client(journal, lambda _: route, parallel) as client:
            client.ask([Request("m", ({"role": "user", "content": "warm"},))], "warm")
            started = time.perf_counter()
            results = client.ask(requests, "answers")
            elapsed = time.perf_counter() - started
    if not all(isinstance(result, Answered) for result in results):
        raise SystemExit("some requests failed: the measurement says nothing")
    return elapsed


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--parallel", type=int, default=64)
    parser.add_argument("--latencies", type=float, nargs="+", default=[0.05, 0.2])
    parser.add_argument("--storm-requests", type=int, default=800)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    count, parallel = arguments.requests, arguments.parallel
    print("| case | aiohttp alone | request layer |\n|---|---|---|")
    for latency in arguments.latencies:
        limit = count * latency / parallel
        bare = with_server(latency, 0, lambda url: seconds_of_bare_client(url, count, parallel))
        ours = with_server(latency, 0, lambda url: seconds_of_request_layer(url, count, parallel))
        print(f"| {latency} s, {parallel} in flight | {limit / bare:.2f} | {limit / ours:.2f} |", flush=True)
    storm = arguments.storm_requests
    limit = storm * STORM_LATENCY / STORM_SLOTS
    ours = with_server(STORM_LATENCY, STORM_SLOTS, lambda url: seconds_of_request_layer(url, storm, parallel))
    print(f"| storm of refusals | - | {limit / ours:.2f} |")


if __name__ == "__main__":
    main()
