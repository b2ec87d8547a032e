import importlib.util
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from served_bundles import letters

from distil_dagster.assets.delivery import ModelBundle
from distil_dagster.cli import serving
from distil_dagster.cli.main import main
from distil_dagster.data.store import ArtefactStore

ROOT = Path(__file__).parents[2]
SAID_ALWAYS = "Ask it:\n"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@pytest.fixture(scope="module")
def served(tmp_path_factory, write_student):
    return letters(tmp_path_factory.mktemp("letters"), write_student)


@pytest.fixture
def config(tmp_path, monkeypatch) -> Path:
    """A configuration whose artefacts are in a folder of the test's own."""
    monkeypatch.setenv("DISTIL_ARTEFACTS", str(tmp_path / "artefacts"))
    path = tmp_path / "letters.yaml"
    path.write_text("base: {task: classification}\ndata: {path: nowhere}\n")
    return path


@pytest.fixture
def bundled(config, tmp_path) -> Path:
    """The same, with a bundle that is good enough for what happens before a server starts."""
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "prompt.json").write_text(json.dumps({"model": "letters", "tool_call_parser": None}))
    ArtefactStore(tmp_path / "artefacts").save("model_bundle", "letters", ModelBundle(tmp_path / "bundle", True, ""))
    return config


def started(config, port, said) -> subprocess.Popen:
    command = [sys.executable, "-m", "distil_dagster.cli", "serve", str(config), "--port", str(port)]
    with said.open("w") as output:
        return subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)


def wait_for(words, server, said) -> str:
    deadline = time.monotonic() + 120
    while words not in said.read_text():
        assert server.poll() is None, said.read_text()
        assert time.monotonic() < deadline, said.read_text()
        time.sleep(0.1)
    return said.read_text()


def test_a_bundle_is_served_until_a_signal_and_the_printed_command_asks_it(config, served, tmp_path):
    ArtefactStore(tmp_path / "artefacts").save("model_bundle", "letters", ModelBundle(served.bundle, True, ""))
    port, said = free_port(), tmp_path / "said.txt"
    server = started(config, port, said)
    try:
        command = wait_for(SAID_ALWAYS, server, said).partition(SAID_ALWAYS)[2].splitlines()[0]
        assert f"Serving on http://127.0.0.1:{port}/v1" in said.read_text()
        question = served.examples[0].messages[0].content
        asked = [question if word == "..." else word for word in shlex.split(command)]
        answer = subprocess.run(asked, capture_output=True, text=True, cwd=tmp_path)
        assert answer.stdout == served.texts[0] + "\n", answer.stderr
    finally:
        server.send_signal(signal.SIGINT)
    assert server.wait(timeout=30) == 0, said.read_text()
    # The child that served is gone with its parent.
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False)


def test_a_signal_while_the_model_loads_ends_it_quietly(config, served, tmp_path):
    ArtefactStore(tmp_path / "artefacts").save("model_bundle", "letters", ModelBundle(served.bundle, True, ""))
    port, said = free_port(), tmp_path / "said.txt"
    server = started(config, port, said)
    try:
        wait_for("Loading", server, said)
    finally:
        server.send_signal(signal.SIGTERM)
    assert server.wait(timeout=30) == 0, said.read_text()
    assert SAID_ALWAYS not in said.read_text()


def test_a_server_that_ends_by_itself_is_an_error(bundled, capsys, monkeypatch):
    ends = serving.ServerCommand("transformers serve", (sys.executable, "-c", "raise SystemExit(3)"), "model")
    monkeypatch.setattr(serving, "transformers_server", lambda host, port: ends)
    assert main(["serve", str(bundled), "--port", str(free_port())]) == 1
    assert "transformers serve ended with exit code 3" in capsys.readouterr().err


def test_without_a_bundle_the_command_that_makes_one_is_named(config, capsys):
    assert main(["serve", str(config)]) == 1
    assert capsys.readouterr().err == f"letters: no model bundle yet; run `distil-dagster run {config}` first\n"


def test_a_port_that_is_taken_is_named_before_anything_is_loaded(bundled, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", str(bundled), "--port", str(port)]) == 1
    shown = capsys.readouterr()
    assert f"--port {port}: cannot be listened on: Address already in use" in shown.err
    assert "Loading" not in shown.out


def without(*missing):
    found = importlib.util.find_spec
    return lambda name: None if name in missing else found(name)


def test_missing_packages_are_named_with_the_command_that_installs_them(bundled, capsys, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", without("vllm", "fastapi", "uvicorn"))
    assert main(["serve", str(bundled)]) == 1
    assert "fastapi, uvicorn: run `pip install '.[serve]'`" in capsys.readouterr().err


@pytest.fixture
def starts(monkeypatch):
    """The commands of servers that would be started."""
    commands = []

    class EndedError(Exception):
        pass

    def popen(arguments, **settings):
        commands.append((list(arguments), settings))
        raise EndedError

    monkeypatch.setattr(serving.subprocess, "Popen", popen)

    def start(*arguments):
        with pytest.raises(EndedError):
            main(["serve", *arguments, "--port", str(free_port())])
        return commands[-1]

    return start


def test_vllm_serves_where_it_is_installed_beside_a_gpu(bundled, monkeypatch, starts, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(serving, "has_gpu", lambda: True)
    (tmp_path / "artefacts/model_bundle/letters/bundle/prompt.json").write_text(
        json.dumps({"model": "letters", "tool_call_parser": "hermes"})
    )
    arguments, _ = starts(str(bundled))
    assert arguments[2:6] == ["vllm.entrypoints.cli.main", "serve", "model", "--served-model-name"]
    assert "--enable-auto-tool-choice --tool-call-parser hermes" in " ".join(arguments)
    assert arguments[arguments.index("--host") + 1] == "127.0.0.1"


def test_without_a_gpu_the_server_computes_in_32_bits_and_asks_no_hub(bundled, monkeypatch, starts, tmp_path):
    monkeypatch.setattr(serving, "has_gpu", lambda: False)
    arguments, settings = starts(str(bundled))
    assert arguments[-4:] == ["--device", "cpu", "--dtype", "float32"]
    assert settings["env"] == os.environ | {"HF_HUB_OFFLINE": "1"}
    assert settings["cwd"] == tmp_path / "artefacts/model_bundle/letters/bundle"


def test_on_a_gpu_transformers_serves_the_weights_as_they_are_stored(bundled, monkeypatch, starts):
    monkeypatch.setattr(importlib.util, "find_spec", without("vllm"))
    monkeypatch.setattr(serving, "has_gpu", lambda: True)
    arguments, _ = starts(str(bundled))
    assert "float32" not in arguments
    assert "transformers.cli.transformers" in arguments
