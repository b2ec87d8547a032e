"""Reads the command line and turns errors into exit codes: 2 for mistakes in a configuration, 1 for a failed run."""

import argparse
import logging
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import yaml

from distil_dagster.cli.arguments import parser
from distil_dagster.errors import ConfigError, DistilError, Problem

if TYPE_CHECKING:
    from distil_dagster.cli.simulation import Simulation

FAILED = 1
BAD_CONFIG = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        return _COMMANDS[options.command](options)
    except ConfigError as error:
        print(error, file=sys.stderr)
        count = len(error.problems)
        print(f"{count} {'mistake' if count == 1 else 'mistakes'}; nothing was run", file=sys.stderr)
        return BAD_CONFIG
    except DistilError as error:
        print(error, file=sys.stderr)
        return FAILED


def _validate(options: argparse.Namespace) -> int:
    from distil_dagster.cli.validating import validate

    return validate(options.config)


def _run(options: argparse.Namespace) -> int:
    from distil_dagster.cli.running import run

    return run(options.config, typed_settings(options.set), options.select, _simulation(options))


def _retune(options: argparse.Namespace) -> int:
    from distil_dagster.cli.retuning import retune

    return retune(options.config, typed_settings(options.set), options.new_name, _simulation(options))


def _backfill(options: argparse.Namespace) -> int:
    from distil_dagster.cli.backfilling import backfill, submit

    simulation = _simulation(options)
    if not options.submit:
        return backfill(options.config, typed_settings(options.set), options.job, simulation)
    if options.set or simulation:
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

    folder, error_rate = options.simulated_teacher, options.simulated_error_rate
    if folder is None and error_rate:
        message = "is for --simulated-teacher, which is missing"
        raise ConfigError([Problem("command line", None, "--simulated-error-rate", message, error_rate)])
    return None if folder is None else Simulation(folder, error_rate)


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


_COMMANDS = {
    "validate": _validate,
    "run": _run,
    "retune": _retune,
    "backfill": _backfill,
    "sweep": _sweep,
    "report": _report,
    "service": _service,
    "rollback": _rollback,
    "serve": _serve,
    "simulate": _simulate,
}
