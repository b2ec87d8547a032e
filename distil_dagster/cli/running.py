"""`run` and `report`: materializes the assets of one configuration in this process and shows what happens."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distil_dagster.cli.console import RunConsole
from distil_dagster.cli.materializing import materialize, rank
from distil_dagster.cli.simulation import Simulation, teachers_of
from distil_dagster.config.loading import load_config
from distil_dagster.config.pipeline import PipelineConfig, effective
from distil_dagster.errors import ConfigError, DistilError, Problem
from distil_dagster.orchestration.config_files import EXTENSIONS, config_folder


def find_config(name: str) -> Path:
    """The configuration file that a person means: a file, a folder with `config.yaml`, or the name of either in
    `configs/`.

    Raises:
        DistilError: there is no such file.
    """
    given = Path(name)
    candidates = [given, *(given / f"config{end}" for end in EXTENSIONS)]
    candidates += [config_folder() / f"{name}{end}" for end in EXTENSIONS]
    candidates += [config_folder() / name / f"config{end}" for end in EXTENSIONS]
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
    console = RunConsole()
    for warning in loaded.warnings:
        console.warn(warning)
    with teachers_of(simulation, console):
        succeeded = materialize(path, as_read(typed, loaded.config), console, job, select)
    if not succeeded:
        return 1
    if select:
        return 0
    rank()
    return show_report(name)


def as_read(typed: Mapping[str, Mapping[str, Any]], config: PipelineConfig) -> dict[str, dict[str, Any]]:
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
