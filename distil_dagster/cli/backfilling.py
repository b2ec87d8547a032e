"""`backfill` and `sweep`: one run after another over many configurations, the ranking of all at the end."""

import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from distil_dagster.cli.console import RunConsole
from distil_dagster.cli.materializing import materialize, rank, settle_dagster_home
from distil_dagster.cli.retuning import branch_off
from distil_dagster.cli.running import as_read, find_config
from distil_dagster.cli.simulation import Simulation, teachers_of
from distil_dagster.config.loading import LoadedConfig, load_config
from distil_dagster.errors import ConfigError, DistilError, Problem
from distil_dagster.evaluation.artefacts import EvalReport
from distil_dagster.orchestration.config_files import config_folder, config_paths

_TAG = "distil/backfill"
_WORKSPACE = Path("workspace.yaml")


@dataclass(frozen=True)
class Outcome:
    """How one run of a backfill ended, and its report, where there is one."""

    partition: str
    succeeded: bool
    seconds: float
    report: EvalReport | None


def backfill(
    names: Sequence[str], typed: Mapping[str, Mapping[str, Any]], job: str, simulation: Simulation | None
) -> int:
    """Run a job for these configurations, or for all in the folder, here and one after another.

    One that fails does not keep the others from their turn. Answers that several ask for are bought once.

    Raises:
        ConfigError: a configuration or a typed setting has mistakes; nothing was run.
    """
    return _run_all(_loaded(names, typed), typed, job, simulation)


def submit(names: Sequence[str], job: str) -> int:
    """Hand the backfill to Dagster's daemon, which runs it as its queue has room.

    Raises:
        DistilError: there is no workspace file to find the job by, or Dagster refuses.
    """
    if not _WORKSPACE.is_file():
        raise DistilError(f"{_WORKSPACE}: missing; --submit works in the folder that Dagster's services run in")
    settle_dagster_home()
    import dagster as dg

    from distil_dagster.orchestration.partitions import add_partitions

    partitions = [loaded.name for loaded in _loaded(names, {})]
    with dg.DagsterInstance.get() as instance:
        add_partitions(instance, partitions)
    command = [sys.executable, "-m", "dagster", "job", "backfill", "--workspace", str(_WORKSPACE), "--job", job]
    done = subprocess.run([*command, "--partitions", ",".join(partitions), "--noprompt"], check=False)
    if done.returncode != 0:
        raise DistilError("Dagster did not take the backfill; what it said stands above")
    return 0


def sweep(
    name: str, settings: Mapping[str, Sequence[Any]], simulation: Simulation | None, new_name: str | None = None
) -> int:
    """Train a configuration's student with every combination of settings, from the synthetic dataset as it is.

    `settings` has the values to try, by `section.key`. Each combination becomes a configuration of its own.

    Raises:
        ConfigError: a combination has mistakes, or would need other data; nothing was run.
    """
    loaded = load_config(find_config(name))
    combinations = [dict(zip(settings, values, strict=True)) for values in product(*settings.values())]
    typed = [_sections(combination) for combination in combinations]
    for sections in typed:
        load_config(loaded.path, sections)
    names = [_name_of(new_name or loaded.name, combination) for combination in combinations]
    branches = branch_off(loaded, dict(zip(names, typed, strict=True)))
    return _run_all([load_config(path) for path in branches], {}, "retune", simulation)


def _loaded(names: Sequence[str], typed: Mapping[str, Mapping[str, Any]]) -> list[LoadedConfig]:
    paths = [find_config(name) for name in names] or list(config_paths(config_folder()).values())
    if not paths:
        raise DistilError(f"{config_folder().resolve()}: holds no configuration")
    loaded: list[LoadedConfig] = []
    problems: list[Problem] = []
    for path in dict.fromkeys(paths):
        try:
            loaded.append(load_config(path, typed))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return loaded


def _run_all(
    configs: Sequence[LoadedConfig],
    typed: Mapping[str, Mapping[str, Any]],
    job: str,
    simulation: Simulation | None,
) -> int:
    console, backfill_id, outcomes = RunConsole(), uuid.uuid4().hex[:8], []
    with teachers_of(simulation, console):
        for number, loaded in enumerate(configs, start=1):
            console.title(f"{loaded.name} ({number} of {len(configs)})")
            outcomes.append(_run_one(loaded, as_read(typed, loaded.config), job, backfill_id, console))
        if any(outcome.succeeded for outcome in outcomes):
            rank()
    console.outcomes(outcomes)
    return 0 if all(outcome.succeeded for outcome in outcomes) else 1


def _run_one(
    loaded: LoadedConfig, typed: Mapping[str, Mapping[str, Any]], job: str, backfill_id: str, console: RunConsole
) -> Outcome:
    from distil_dagster.orchestration.storage import Store, default_root

    started = time.monotonic()
    for warning in loaded.warnings:
        console.warn(warning)
    succeeded = materialize(loaded.path, typed, console, job, tags={_TAG: backfill_id})
    store = Store(root=default_root()).artefacts
    report = store.load("eval_report", loaded.name, EvalReport) if succeeded else None
    return Outcome(loaded.name, succeeded, time.monotonic() - started, report)


def _sections(combination: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    sections: dict[str, dict[str, Any]] = {}
    for name, value in combination.items():
        section, _, key = name.partition(".")
        sections.setdefault(section, {})[key] = value
    return sections


def _name_of(name: str, combination: Mapping[str, Any]) -> str:
    """Such as `tickets-lora_r-8-learning_rate-0.001`."""
    return "-".join([name, *(f"{setting.partition('.')[2]}-{value}" for setting, value in combination.items())])
