"""Reads the command line and turns errors into exit codes: 2 for mistakes in a configuration, 1 for a failed run."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from distil_dagster.errors import ConfigError, DataError, DistilError, Problem

if TYPE_CHECKING:
    from distil_dagster.cli.simulation import Simulation
    from distil_dagster.config.loading import LoadedConfig

FAILED = 1
BAD_CONFIG = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        return int(options.command(options))
    except ConfigError as error:
        print(error, file=sys.stderr)
        count = len(error.problems)
        print(f"{count} {'mistake' if count == 1 else 'mistakes'}; nothing was run", file=sys.stderr)
        return BAD_CONFIG
    except DistilError as error:
        print(error, file=sys.stderr)
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="distil-dagster", description="From production traces to a small language model that does the job."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    validate = commands.add_parser("validate", help="check configuration files and name every mistake")
    validate.add_argument("config", nargs="+", type=Path, metavar="FILE")
    validate.set_defaults(command=_validate)

    run = commands.add_parser("run", help="materialize the assets of a configuration, with live progress")
    _add_config(run)
    run.add_argument(
        "--select",
        metavar="ASSETS",
        help="assets to materialize: names with commas between, + for what is before or after, e.g. 'sft_adapter+'",
    )
    _add_setting(run)
    _add_simulation(run)
    run.set_defaults(command=_run)

    retune = commands.add_parser(
        "retune", help="train again from the synthetic dataset as it is, with another student or other tuning"
    )
    _add_config(retune)
    retune.add_argument(
        "--as", dest="new_name", metavar="NAME", help="keep the outcome beside the present one, as a new configuration"
    )
    _add_setting(retune)
    _add_simulation(retune)
    retune.set_defaults(command=_retune)

    backfill = commands.add_parser(
        "backfill", help="run many configurations, one after another; without names all in configs/"
    )
    backfill.add_argument("config", nargs="*", metavar="CONFIG", help="configuration files, or their names in configs/")
    backfill.add_argument(
        "--job", choices=("distil", "retune"), default="distil", help="what is run (default: %(default)s)"
    )
    backfill.add_argument(
        "--submit", action="store_true", help="hand it to Dagster's daemon instead of running it here"
    )
    _add_setting(backfill)
    _add_simulation(backfill)
    backfill.set_defaults(command=_backfill)

    sweep = commands.add_parser(
        "sweep", help="train with every combination of some settings, from the synthetic dataset as it is"
    )
    _add_config(sweep)
    sweep.add_argument(
        "--over",
        action="append",
        required=True,
        metavar="SECTION.KEY=[VALUE, …]",
        help="a setting and the values to try; may be repeated",
    )
    sweep.add_argument("--as", dest="new_name", metavar="NAME", help="what the new configurations' names begin with")
    _add_simulation(sweep)
    sweep.set_defaults(command=_sweep)

    report = commands.add_parser("report", help="show the latest report of a configuration")
    _add_config(report)
    report.set_defaults(command=_report)

    service = commands.add_parser("service", help="show which student is in service, and how it came to be")
    _add_config(service)
    service.set_defaults(command=_service)

    rollback = commands.add_parser("rollback", help="put a student that was in service before back into service")
    _add_config(rollback)
    rollback.add_argument("--to", metavar="VERSION", help="which one (default: the one before)")
    rollback.add_argument("--why", default="", metavar="TEXT", help="the reason, for the history")
    rollback.set_defaults(command=_rollback)

    serve = commands.add_parser("serve", help="serve the student in service of a configuration, as OpenAI's API")
    _add_config(serve)
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    serve.add_argument("--latest", action="store_true", help="the latest bundle, whether it is in service or not")
    serve.add_argument("--port", type=_port, default=8000, help="default: %(default)s")
    serve.set_defaults(command=_serve)

    simulate = commands.add_parser("simulate", help="serve an OpenAI-compatible simulated teacher for a folder")
    from distil_dagster.simulator.options import add_arguments

    add_arguments(simulate)
    simulate.set_defaults(command=_simulate)
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="CONFIG", help="a configuration file, its folder, or its name in configs/")


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < 2**16:
        raise ValueError(text)
    return port


def _add_setting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="a setting that goes before the file's"
    )


def _add_simulation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--simulated-teacher",
        type=Path,
        metavar="FOLDER",
        help="let a simulator that knows the answers of this folder play all teachers, without any key",
    )
    parser.add_argument(
        "--simulated-error-rate",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of the simulator's answers that are wrong (default: %(default)s)",
    )


def _validate(options: argparse.Namespace) -> int:
    from distil_dagster.config.loading import load_config

    problems: list[Problem] = []
    for path in options.config:
        try:
            loaded = load_config(path)
            for warning in loaded.warnings:
                print(f"warning: {warning}")
            print(f"{path}: {loaded.config.base.task}, {_state_of_job(loaded)}")
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return 0


def _state_of_job(loaded: "LoadedConfig") -> str:
    """Whether the job's data is there.

    Raises:
        ConfigError: it lacks what the task needs, or its prefix cannot be read.
    """
    from distil_dagster.job import open_job
    from distil_dagster.orchestration.s3 import fetched_data

    place = loaded.data_prefix or str(loaded.data_folder)
    if loaded.data_prefix is None and not loaded.data_folder.is_dir():
        return f"no mistake; the job's folder {place} is not there yet"
    try:
        open_job(loaded.path, fetch=fetched_data)
    except DataError as error:
        raise ConfigError([Problem(str(loaded.path), None, "data.path", str(error), place)]) from None
    return "ready to run"


def _run(options: argparse.Namespace) -> int:
    from distil_dagster.cli.running import run

    return run(options.config, typed_settings(options.set), options.select, _simulation(options))


def _retune(options: argparse.Namespace) -> int:
    from distil_dagster.cli.retuning import retune

    return retune(options.config, typed_settings(options.set), options.new_name, _simulation(options))


def _backfill(options: argparse.Namespace) -> int:
    from distil_dagster.cli.backfilling import backfill, submit

    if not options.submit:
        return backfill(options.config, typed_settings(options.set), options.job, _simulation(options))
    if options.set or options.simulated_teacher:
        typed = "--set" if options.set else "--simulated-teacher"
        raise ConfigError([Problem("--submit", None, typed, "the daemon's runs go by the files only")])
    return submit(options.config, options.job)


def _sweep(options: argparse.Namespace) -> int:
    from distil_dagster.cli.backfilling import sweep

    values = {
        f"{section}.{key}": value if isinstance(value, list) else [value]
        for section, keys in typed_settings(options.over).items()
        for key, value in keys.items()
    }
    return sweep(options.config, values, _simulation(options), options.new_name)


def _simulation(options: argparse.Namespace) -> "Simulation | None":
    from distil_dagster.cli.simulation import Simulation

    folder = options.simulated_teacher
    return Simulation(folder, options.simulated_error_rate) if folder is not None else None


def _report(options: argparse.Namespace) -> int:
    from distil_dagster.cli.running import show_report

    return show_report(options.config)


def _service(options: argparse.Namespace) -> int:
    from distil_dagster.cli.in_service import show_service

    return show_service(options.config)


def _rollback(options: argparse.Namespace) -> int:
    from distil_dagster.cli.in_service import rollback

    return rollback(options.config, options.to, options.why)


def _serve(options: argparse.Namespace) -> int:
    from distil_dagster.cli.serving import serve

    return serve(options.config, options.host, options.port, latest=options.latest)


def _simulate(options: argparse.Namespace) -> int:
    from distil_dagster.simulator.options import options_from
    from distil_dagster.simulator.server import serve

    serve(options.case, options.host, options.port, options_from(options))
    return 0


def typed_settings(settings: Sequence[str]) -> dict[str, dict[str, Any]]:
    """`["tuning.lora_r=8"]` as `{"tuning": {"lora_r": 8}}`; values are read as YAML.

    Raises:
        ConfigError: carries every setting that does not have the form `section.key=value`.
    """
    typed: dict[str, dict[str, Any]] = {}
    problems = []
    for setting in settings:
        name, equals, text = setting.partition("=")
        section, dot, key = name.partition(".")
        if not (equals and dot and section and key):
            problems.append(Problem("--set", None, setting, "must have the form section.key=value"))
            continue
        try:
            typed.setdefault(section, {})[key] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            problems.append(Problem("--set", None, name, f"cannot be read as YAML: {error}", text))
    if problems:
        raise ConfigError(problems)
    return typed
