"""What Dagster's face costs: the share of a run's wall time in which no phase is at its own work.

python benchmarks/orchestration.py [--config quickstart] [--case examples/ticket_routing]

A daemon, with the project's own settings, takes the job `distil` from its queue; every step is a process of its own,
and a simulated teacher answers. A phase's own work is the time from its inputs to its output, as the run's events tell
it; where two phases work at once, that time counts once. The rest is queue, run worker, starting processes, reading
and writing artefacts, and waiting between steps. The aim is at most a tenth.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import yaml

from distil_dagster.cli.running import find_config
from distil_dagster.config.catalogue import ANY_MODEL, ROUTES_VARIABLE
from distil_dagster.orchestration.partitions import add_partitions
from distil_dagster.simulator.options import Options
from distil_dagster.simulator.server import SimulatedTeacher

ROOT = Path(__file__).parents[1]
LIMIT = 0.1
_KEY = "DISTIL_SIMULATED_KEY"
_LOOK_EVERY = 1.0

Interval = tuple[float, float]


def main() -> int:
    """Print where the time went; 1 where more than a tenth of it was nobody's own work."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder, SimulatedTeacher(options.case, Options(error_rate=0.02)) as teacher:
        home = Path(folder)
        with _daemon(home, _environment(home, options.config, teacher.base_url)) as instance:
            run = _finished(instance, _launched(instance, home, options.config))
            record = instance.get_run_record_by_id(run.run_id)
            work = own_work(instance.all_logs(run.run_id))
    wall = record.end_time - record.create_timestamp.timestamp()
    working = united(work.values())
    for step, (started, ended) in sorted(work.items(), key=lambda item: item[1]):
        print(f"{step:<20} {ended - started:7.1f} s")
    print(f"run {run.status.value}: {wall:.1f} s from queue to end, {working:.1f} s of them some phase's own work")
    share = 1 - working / wall
    print(f"orchestration {share:.1%} (aim at most {LIMIT:.0%})")
    return int(run.status is not dg.DagsterRunStatus.SUCCESS or share > LIMIT)


def own_work(entries: Sequence[dg.EventLogEntry]) -> dict[str, Interval]:
    """From the last input that a step was given, or its start, to its output, in seconds since the epoch."""
    started: dict[str, float] = {}
    found: dict[str, Interval] = {}
    for entry in entries:
        event = entry.dagster_event
        if event is None or event.step_key is None:
            continue
        if event.event_type_value in {"STEP_START", "LOADED_INPUT", "STEP_INPUT"}:
            started[event.step_key] = entry.timestamp
        elif event.event_type_value == "STEP_OUTPUT" and event.step_key not in found:
            found[event.step_key] = (started[event.step_key], entry.timestamp)
    return found


def united(intervals: Iterator[Interval] | Sequence[Interval]) -> float:
    """How long at least one of the intervals lasts."""
    total, until = 0.0, float("-inf")
    for started, ended in sorted(intervals):
        total += max(0.0, ended - max(started, until))
        until = max(until, ended)
    return total


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=find_config, default="quickstart")
    parser.add_argument("--case", type=Path, default=ROOT / "examples" / "ticket_routing")
    return parser.parse_args()


def _environment(home: Path, config: Path, teacher: str) -> dict[str, str]:
    routes = home / "models.yaml"
    price = {"input_cost_per_token": 0, "output_cost_per_token": 0}
    route = {"model": "openai/simulated/{name}", "base_url": teacher, "api_key_env": _KEY, "extra": price}
    routes.write_text(yaml.safe_dump({ANY_MODEL: route}), encoding="utf-8")
    return {
        "DAGSTER_HOME": str(home),
        "DISTIL_CONFIGS": str(config.parent),
        "DISTIL_ARTEFACTS": str(home / "artefacts"),
        ROUTES_VARIABLE: str(routes),
        _KEY: "none-needed",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }


@contextmanager
def _daemon(home: Path, environment: dict[str, str]) -> Iterator[dg.DagsterInstance]:
    shutil.copy(ROOT / "dagster.yaml", home)
    os.environ.update(environment)
    command = [sys.executable, "-m", "dagster._daemon", "run", "-w", "workspace.yaml"]
    with dg.DagsterInstance.from_config(str(home)) as instance, (home / "daemon.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            yield instance
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _launched(instance: dg.DagsterInstance, home: Path, config: Path) -> str:
    add_partitions(instance, [config.stem])
    command = [sys.executable, "-m", "dagster", "job", "backfill", "-w", "workspace.yaml", "-j", "distil"]
    with (home / "launch.log").open("wb") as log:
        subprocess.run(
            [*command, "--partitions", config.stem, "--noprompt"],
            cwd=ROOT,
            check=True,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    (run_id,) = instance.get_run_ids(dg.RunsFilter(job_name="distil"))
    return run_id


def _finished(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun:
    while True:
        run = instance.get_run_by_id(run_id)
        if run is not None and run.is_finished:
            return run
        time.sleep(_LOOK_EVERY)


if __name__ == "__main__":
    sys.exit(main())
