"""Dagster's daemon with a home of its own, as a deployment runs it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

CHECKOUT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Daemon:
    """A daemon at work, and the instance that it looks after."""

    instance: dg.DagsterInstance
    environment: dict[str, str]
    log: Path

    def dagster(self, *arguments: str) -> None:
        """A command of Dagster's own, as a person gives it."""
        command = [sys.executable, "-m", "dagster", *arguments, "-w", "workspace.yaml"]
        done = subprocess.run(command, cwd=CHECKOUT, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def wait_for(self, holds: Callable[[], object], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                pytest.fail(f"{what}: not within {seconds} s; {self.log.read_text()[-4000:]}")
            time.sleep(1)

    def runs(self, job: str, partition: str) -> list[dg.DagsterRun]:
        """The runs of a job for a partition, the latest first."""
        return self.instance.get_runs(dg.RunsFilter(job_name=job, tags={"dagster/partition": partition}))


@contextmanager
def daemon(home: Path, environment: dict[str, str]) -> Iterator[Daemon]:
    """Dagster's daemon with the project's own settings, its sensors and schedules as they are by default."""
    home.mkdir()
    shutil.copy(CHECKOUT / "dagster.yaml", home)
    everything = os.environ | environment | {"DAGSTER_HOME": str(home), "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    command = [sys.executable, "-m", "dagster._daemon", "run", "-w", "workspace.yaml"]
    with dg.DagsterInstance.from_config(str(home)) as instance, (home / "daemon.log").open("w") as log:
        # A session of its own, so that its code servers and runs end with it.
        process = subprocess.Popen(
            command, cwd=CHECKOUT, env=everything, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield Daemon(instance, everything, home / "daemon.log")
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
