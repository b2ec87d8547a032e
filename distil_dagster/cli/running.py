"""`run` and `report`: materializes the assets of one configuration in this process and shows what happens."""

import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distil_dagster.cli.console import RunConsole, package_log_shown
from distil_dagster.config.catalogue import ANY_MODEL, ROUTES_VARIABLE
from distil_dagster.config.loading import load_config
from distil_dagster.config.pipeline import PipelineConfig, effective
from distil_dagster.errors import ConfigError, DistilError, Problem
from distil_dagster.orchestration.config_files import FOLDER_VARIABLE, config_folder

if TYPE_CHECKING:
    import dagster as dg

LEADERBOARD = "leaderboard"
_EXTENSIONS = (".yaml", ".yml", ".json")
# Dagster's own lines would drown ours; they are all in the run's log.
_QUIET: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
# Dagster reads a bare name in an older syntax, in which + reaches one layer only.
_BARE_NAME = re.compile(r"^(\+?)(\w+)(\+?)$")
_SIMULATED_KEY = "DISTIL_SIMULATED_KEY"


@dataclass(frozen=True)
class Simulation:
    """A simulator in the place of all teachers: the folder whose answers it knows, and the share that it gets wrong."""

    folder: Path
    error_rate: float


def find_config(name: str) -> Path:
    """The configuration file that a person means: a file, a folder with `config.yaml`, or a name in `configs/`.

    Raises:
        DistilError: there is no such file.
    """
    given = Path(name)
    candidates = [given, *(given / f"config{end}" for end in _EXTENSIONS)]
    candidates += [config_folder() / f"{name}{end}" for end in _EXTENSIONS]
    for candidate in candidates:
        if candidate.is_file():
            return candidate.resolve()
    raise DistilError(f"{name}: no such configuration; looked for {', '.join(map(str, candidates))}")


def run(
    name: str,
    typed: Mapping[str, Mapping[str, Any]],
    select: str | None,
    simulation: Simulation | None,
    job: str = "distil",
) -> int:
    """Materialize the selected assets (default: those of `job`, and the leaderboard) of a configuration.

    Raises:
        ConfigError: the configuration or a typed setting has mistakes; nothing was run.
    """
    path = find_config(name)
    loaded = load_config(path, typed)
    typed = _as_read(typed, loaded.config)
    console = RunConsole()
    for warning in loaded.warnings:
        console.warn(warning)
    with _teachers(simulation, console):
        succeeded = _materialize(path, loaded.name, typed, select, console, job)
    if succeeded and not select:
        return show_report(name)
    return 0 if succeeded else 1


def _as_read(typed: Mapping[str, Mapping[str, Any]], config: PipelineConfig) -> dict[str, dict[str, Any]]:
    """The typed settings with the values that they were read as, in the types that Dagster's run config wants.

    Raises:
        ConfigError: a setting of `data`, which says where things are and so stands in the file.
    """
    problems = [
        Problem("run config", None, f"data.{key}", "stands in the configuration file only", value)
        for key, value in typed.get("data", {}).items()
    ]
    if problems:
        raise ConfigError(problems)
    values = effective(config)
    return {name: {key: values[name][key] for key in keys if key in values[name]} for name, keys in typed.items()}


def show_report(name: str) -> int:
    """Print the table and the path of a configuration's latest report.

    Raises:
        DistilError: there is no report yet.
    """
    from distil_dagster.evaluation.artefacts import EvalReport
    from distil_dagster.orchestration.storage import Store, default_root

    path = find_config(name)
    store = Store(root=default_root()).artefacts
    partition = load_config(path).name
    try:
        report = store.load("eval_report", partition, EvalReport)
    except FileNotFoundError:
        raise DistilError(f"{partition}: no report yet; run `distil-dagster run {name}` first") from None
    RunConsole().report(report)
    return 0


def _materialize(
    path: Path,
    partition: str,
    typed: Mapping[str, Mapping[str, Any]],
    select: str | None,
    console: RunConsole,
    job: str,
) -> bool:
    os.environ[FOLDER_VARIABLE] = str(path.parents[1] if path.stem == "config" else path.parent)
    settle_dagster_home()
    import dagster as dg

    from distil_dagster.definitions import defs
    from distil_dagster.orchestration.partitions import add_partitions

    definition = defs.resolve_job_def(job)
    own = {*definition.asset_layer.executable_asset_keys, dg.AssetKey(LEADERBOARD)}
    chosen = selected_assets(defs, select) if select else sorted(own)
    console.follow(key.to_user_string() for key in chosen)
    with ExitStack() as stack:
        instance = stack.enter_context(dg.DagsterInstance.get())
        add_partitions(instance, [partition])
        in_events = "distil_dagster" in instance.managed_python_loggers
        stack.enter_context(package_log_shown(console, already_in_events=in_events))
        started = time.monotonic()
        partitioned = [key for key in chosen if key.to_user_string() != LEADERBOARD]
        succeeded = not partitioned or _execute(definition, instance, partition, typed, partitioned, console)
        if succeeded and len(partitioned) < len(chosen):
            # The leaderboard has no partitions, so it needs a run of its own.
            defs.resolve_job_def("rank").execute_in_process(run_config=dict(_QUIET), instance=instance)
        console.finished(succeeded, time.monotonic() - started)
    return succeeded


def _execute(
    job: "dg.JobDefinition",
    instance: "dg.DagsterInstance",
    partition: str,
    typed: Mapping[str, Mapping[str, Any]],
    assets: "list[dg.AssetKey]",
    console: RunConsole,
) -> bool:
    from distil_dagster.orchestration.resources import CONFIG_KEY

    run_id = str(uuid.uuid4())
    instance.add_event_listener(run_id, console.show_event)
    result = job.execute_in_process(
        run_config=_QUIET | ({"resources": {CONFIG_KEY: {"config": dict(typed)}}} if typed else {}),
        instance=instance,
        partition_key=partition,
        raise_on_error=False,
        asset_selection=assets,
        run_id=run_id,
    )
    return result.success


def settle_dagster_home() -> None:
    """Where no home is named it is `.dagster`, with the project's settings, so that the UI shows the run too."""
    os.environ.setdefault("DAGSTER_HOME", str(Path(".dagster").resolve()))
    home = Path(os.environ["DAGSTER_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    if Path("dagster.yaml").is_file() and not (home / "dagster.yaml").exists():
        shutil.copy("dagster.yaml", home)


def selected_assets(defs: "dg.Definitions", select: str) -> "list[dg.AssetKey]":
    """The assets that `--select` means.

    Raises:
        DistilError: a name that no asset has.
    """
    import dagster as dg

    try:
        parts = [
            dg.AssetSelection.from_string(_BARE_NAME.sub(r"\1key:\2\3", part.strip())) for part in select.split(",")
        ]
        chosen = reduce(or_, parts).resolve(defs.resolve_asset_graph())
    except dg.DagsterError as error:
        raise DistilError(f"--select {select}: {error}") from None
    if not chosen:
        raise DistilError(f"--select {select}: no asset is called that")
    return sorted(chosen)


@contextmanager
def _teachers(simulation: Simulation | None, console: RunConsole) -> Iterator[None]:
    """Send every teacher's requests to a simulator for the time of a run, where that is wanted."""
    if simulation is None:
        yield
        return
    import yaml

    from distil_dagster.simulator.options import Options
    from distil_dagster.simulator.server import SimulatedTeacher

    options = Options(error_rate=simulation.error_rate)
    with SimulatedTeacher(simulation.folder, options) as teacher, tempfile.TemporaryDirectory() as folder:
        routes = Path(folder) / "models.yaml"
        route = {
            "model": "openai/simulated/{name}",
            "base_url": teacher.base_url,
            "api_key_env": _SIMULATED_KEY,
            "extra": {"input_cost_per_token": 0, "output_cost_per_token": 0},
        }
        routes.write_text(yaml.safe_dump({ANY_MODEL: route}), encoding="utf-8")
        os.environ[ROUTES_VARIABLE] = str(routes)
        os.environ[_SIMULATED_KEY] = "none-needed"
        console.notice(
            f"Teachers, committee and judge are simulated from {simulation.folder}, wrong in "
            f"{simulation.error_rate:.0%} of their answers; everything else is real."
        )
        try:
            yield
        finally:
            del os.environ[ROUTES_VARIABLE], os.environ[_SIMULATED_KEY]
            console.notice(
                f"The simulated teacher answered {teacher.stats()['by_outcome'].get('answered', 0)} requests."
            )
