"""`serve`: the student in service of a configuration behind an OpenAI-compatible server on this machine."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from distil_dagster.cli.running import find_config
from distil_dagster.config.loading import load_config
from distil_dagster.errors import DistilError
from distil_dagster.evaluation.served_students import pointer_of, served_student
from distil_dagster.export.bundle import CLIENT, MODEL, PROMPT
from distil_dagster.training.models import has_gpu

_NEEDED = ("fastapi", "openai", "uvicorn")
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOOK_EVERY = 0.2
"""Seconds between two looks at the server."""


@dataclass(frozen=True)
class ServerCommand:
    """How a server is started in the bundle's folder, and the name under which it knows the model."""

    title: str
    arguments: tuple[str, ...]
    model: str


def serve(name: str, host: str, port: int, *, latest: bool = False) -> int:
    """Serve the student in service, or the latest bundle of a configuration, until a signal ends the server.

    Raises:
        DistilError: there is no bundle yet, the server's packages are missing, the port cannot be had, or the server
            ended by itself.
    """
    bundle = _bundle(name, latest=latest)
    prompt = json.loads((bundle / PROMPT).read_text(encoding="utf-8"))
    command = _server_command(prompt, host, port)
    _check_port(host, port)
    address = f"http://{_as_asked(host)}:{port}"
    with _signals() as signals, _started(command, bundle) as server:
        print(f"Loading {bundle / MODEL} with {command.title}", flush=True)
        stopped = _attend(server, signals, f"{address}/health", lambda: _announce(address, bundle, prompt, command))
    if not stopped:
        raise DistilError(f"{command.title} ended with exit code {server.returncode}; what it said stands above")
    return 0


def transformers_server(host: str, port: int) -> ServerCommand:
    """transformers' own server, which computes as evaluation does: without a GPU in 32 bits."""
    place = () if has_gpu() else ("--device", "cpu", "--dtype", "float32")
    run = (sys.executable, "-m", "transformers.cli.transformers", "serve", MODEL)
    return ServerCommand("transformers serve", (*run, "--host", host, "--port", str(port), *place), MODEL)


def vllm_server(prompt: dict[str, Any], host: str, port: int) -> ServerCommand:
    """vLLM's server, with the parser of the model's calls where it calls tools."""
    parser = prompt["tool_call_parser"]
    tools = ("--enable-auto-tool-choice", "--tool-call-parser", parser) if parser else ()
    run = (sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", MODEL, "--served-model-name", prompt["model"])
    return ServerCommand("vllm serve", (*run, "--host", host, "--port", str(port), *tools), prompt["model"])


def _bundle(name: str, *, latest: bool) -> Path:
    from distil_dagster.assets.delivery import ModelBundle
    from distil_dagster.orchestration.storage import Store, default_root

    partition = load_config(find_config(name)).name
    store = Store(root=default_root()).artefacts
    version = "" if latest else pointer_of(store, partition).current
    if version:
        return served_student(store, partition, version).bundle
    try:
        bundle = store.load("model_bundle", partition, ModelBundle).bundle
    except FileNotFoundError:
        raise DistilError(f"{partition}: no model bundle yet; run `distil-dagster run {name}` first") from None
    if not latest:
        print("No student is in service yet: this is the latest bundle, whatever it is worth", flush=True)
    return bundle


def _server_command(prompt: dict[str, Any], host: str, port: int) -> ServerCommand:
    if importlib.util.find_spec("vllm") is not None and has_gpu():
        return vllm_server(prompt, host, port)
    missing = [package for package in _NEEDED if importlib.util.find_spec(package) is None]
    if missing:
        raise DistilError(
            f"serving needs the packages {', '.join(missing)}: run `pip install '.[serve]'` in the checkout"
        )
    return transformers_server(host, port)


def _check_port(host: str, port: int) -> None:
    """Find out before the model is loaded; otherwise another server there would be taken for ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        raise DistilError(f"--host {host} --port {port}: cannot be listened on: {error.strerror}") from None


def _as_asked(host: str) -> str:
    """The host in an address for clients on this machine."""
    if host == "0.0.0.0":  # noqa: S104 - a comparison
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


@contextmanager
def _signals() -> Iterator[SimpleQueue[int]]:
    """The signals that come in the block, in place of what they do otherwise."""
    received: SimpleQueue[int] = SimpleQueue()
    before = {number: signal.signal(number, lambda came, _frame: received.put(came)) for number in _PASSED_ON}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _started(command: ServerCommand, bundle: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The server as a child that hears no keys of the terminal itself, and that is gone when the block ends."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(command.arguments, cwd=bundle, env=environment, start_new_session=True) as server:
        try:
            yield server
        finally:
            server.terminate()


def _attend(
    server: subprocess.Popen[bytes], signals: SimpleQueue[int], health: str, announce: Callable[[], None]
) -> bool:
    """Announce the server when it answers and pass signals on until it ends; whether any was passed on."""
    announced = passed_on = False
    while server.poll() is None:
        if not announced and _answers(health):
            announce()
            announced = True
        with suppress(Empty):
            server.send_signal(signals.get(timeout=_LOOK_EVERY))
            passed_on = True
    return passed_on


def _answers(health: str) -> bool:
    import httpx

    try:
        return httpx.get(health, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _announce(address: str, bundle: Path, prompt: dict[str, Any], command: ServerCommand) -> None:
    ask = [sys.executable, str(bundle / CLIENT), "--base-url", f"{address}/v1", "--model", command.model]
    ask += ["--question", "..."] + (["--context", "..."] if prompt["question_with_context"] else [])
    print(f"Serving on {address}/v1 until Ctrl-C. Ask it:\n  {shlex.join(ask)}", flush=True)
