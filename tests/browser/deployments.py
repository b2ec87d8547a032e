"""`dagster dev` on a free port, in a folder of its own, its teachers simulated in this process."""

import json
import os
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
START_SECONDS = 120
# A process of `dagster dev` and several looks of the sensor at the folder of configurations, on a busy machine.
PARTITION_SECONDS = 120
# More runs at once than cores would only slow each other.
RUNS_AT_ONCE = 2
PARTITIONS = '{assetNodeOrError(assetKey: {path: ["traces"]}) {... on AssetNode {partitionKeys}}}'


@dataclass(frozen=True)
class Deployment:
    """A running `dagster dev`; `partition` is the configuration that is there from the start."""

    address: str
    root: Path
    teacher: SimulatedTeacher
    partition: str = "letters"

    @property
    def store(self) -> ArtefactStore:
        return ArtefactStore(self.root / "artefacts")

    @property
    def log(self) -> str:
        return (self.root / "dev.log").read_text(encoding="utf-8")

    def config(self, partition: str) -> dict:
        return yaml.safe_load((self.root / "configs" / f"{partition}.yaml").read_text(encoding="utf-8"))

    def write_config(self, partition: str, content: dict) -> None:
        (self.root / "configs" / f"{partition}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")

    def ask(self, query: str) -> dict:
        """What the webserver says to a GraphQL query."""
        body = json.dumps({"query": query}).encode()
        request = urllib.request.Request(f"{self.address}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)["data"]

    def runs(self, backfill: str) -> dict[str, str]:
        """The runs of a backfill, by partition, that have succeeded."""
        wanted = f'{{tags: [{{key: "dagster/backfill", value: "{backfill}"}}], statuses: [SUCCESS]}}'
        found = self.ask(f"{{runsOrError(filter: {wanted}) {{... on Runs {{results {{id tags {{key value}}}}}}}}}}")
        tags = {run["id"]: {tag["key"]: tag["value"] for tag in run["tags"]} for run in found["runsOrError"]["results"]}
        return {tags[run]["dagster/partition"]: run for run in tags}

    def stale(self, partition: str, *assets: str) -> set[str]:
        """Of some assets those that the webserver calls stale in a partition."""
        keys = ", ".join(f'{{path: ["{asset}"]}}' for asset in assets)
        nodes = self.ask(
            f'{{assetNodes(assetKeys: [{keys}]) {{assetKey {{path}} staleStatus(partition: "{partition}")}}}}'
        )
        return {node["assetKey"]["path"][0] for node in nodes["assetNodes"] if node["staleStatus"] == "STALE"}

    def wait_for_partitions(self, *names: str) -> None:
        """Until the sensor has seen these configurations."""
        deadline = time.monotonic() + PARTITION_SECONDS
        while time.monotonic() < deadline:
            found = self.ask(PARTITIONS)["assetNodeOrError"].get("partitionKeys", [])
            if set(names) <= set(found):
                return
            time.sleep(1)
        pytest.fail(f"no partitions {', '.join(names)}:\n{self.log}")


@contextmanager
def deployed(root: Path, case: Path, config: dict) -> Iterator[Deployment]:
    port = free_port()
    (root / "configs").mkdir()
    (root / "home").mkdir()
    (root / "home" / "dagster.yaml").write_text(yaml.safe_dump(instance_settings()), encoding="utf-8")
    with SimulatedTeacher(case) as teacher:
        deployment = Deployment(f"http://127.0.0.1:{port}", root, teacher)
        deployment.write_config(deployment.partition, config)
        with dagster_dev(port, root, environment(root, teacher.base_url)) as process:
            wait_until_up(deployment, process)
            deployment.wait_for_partitions(deployment.partition)
            yield deployment


def instance_settings() -> dict:
    settings = yaml.safe_load((CHECKOUT / "dagster.yaml").read_text(encoding="utf-8"))
    settings["concurrency"]["runs"]["max_concurrent_runs"] = RUNS_AT_ONCE
    return settings


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
