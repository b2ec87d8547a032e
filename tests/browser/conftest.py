"""`dagster dev` on a free port, its teachers simulated in this process, and pages of a headless Chromium."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from distil_dagster.data.store import ArtefactStore
from distil_dagster.simulator.server import SimulatedTeacher

CHECKOUT = Path(__file__).parents[2]
# Beside what a container needs: nothing is looked up outside the loopback.
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
START_SECONDS = 120
# What a page waits for: a run of two small steps on a machine with other work.
PATIENCE_MILLISECONDS = 90_000


@dataclass(frozen=True)
class Deployment:
    """A running `dagster dev` with one configuration."""

    address: str
    root: Path
    partition: str = "letters"

    @property
    def store(self) -> ArtefactStore:
        return ArtefactStore(self.root / "artefacts")

    @property
    def log(self) -> str:
        return (self.root / "dev.log").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def chromium() -> str:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on this machine")
    return found


@pytest.fixture(scope="module")
def deployment(chromium, tmp_path_factory, case, small_config) -> Iterator[Deployment]:
    root = tmp_path_factory.mktemp("deployment")
    port = free_port()
    deployment = Deployment(f"http://127.0.0.1:{port}", root)
    (root / "configs").mkdir()
    (root / "configs" / f"{deployment.partition}.yaml").write_text(yaml.safe_dump(small_config), encoding="utf-8")
    (root / "home").mkdir()
    shutil.copy(CHECKOUT / "dagster.yaml", root / "home")
    with SimulatedTeacher(case) as teacher, dagster_dev(port, root, environment(root, teacher.base_url)) as process:
        wait_until_up(deployment, process)
        yield deployment


@pytest.fixture(scope="module")
def browser(chromium):
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, deployment):
    # A context of its own: the launchpad remembers what was typed.
    context = browser.new_context(base_url=deployment.address, viewport={"width": 1600, "height": 1000})
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    yield context.new_page()
    context.close()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def environment(root: Path, teacher: str) -> dict[str, str]:
    route = {
        "model": "openai/simulated/{name}",
        "base_url": teacher,
        "api_key_env": "NO_KEY_NEEDED",
        "extra": {"input_cost_per_token": 0, "output_cost_per_token": 0},
    }
    (root / "models.yaml").write_text(yaml.safe_dump({"*": route}), encoding="utf-8")
    return {
        **os.environ,
        "DAGSTER_HOME": str(root / "home"),
        "DISTIL_CONFIGS": str(root / "configs"),
        "DISTIL_ARTEFACTS": str(root / "artefacts"),
        "DISTIL_MODELS": str(root / "models.yaml"),
        "NO_KEY_NEEDED": "none",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }


@contextmanager
def dagster_dev(port: int, root: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-m", "dagster", "dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)]
    with (root / "dev.log").open("w", encoding="utf-8") as log:
        # A session of its own, so that webserver, daemon and code servers end with it.
        process = subprocess.Popen(
            command, cwd=CHECKOUT, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until_up(deployment: Deployment, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{deployment.address}/server_info", timeout=5).close()
            return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.5)
    pytest.fail(f"dagster dev did not come up:\n{deployment.log}")
