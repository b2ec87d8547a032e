"""What the command line understands: commands, their arguments, and the help for both."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    """The parser; `command` of what it gives is the name of the command."""
    made = argparse.ArgumentParser(
        prog="distil-dagster", description="From production traces to a small language model that does the job."
    )
    subparsers = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (summary, add_arguments) in _COMMANDS.items():
        add_arguments(subparsers.add_parser(name, help=summary))
    return made


def _validate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", nargs="+", type=Path, metavar="FILE")


def _run(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    parser.add_argument(
        "--select",
        metavar="ASSETS",
        help="assets to materialize: names with commas between, + for what is before or after, e.g. 'sft_adapter+'",
    )
    _add_setting(parser)
    _add_simulation(parser)


def _retune(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    parser.add_argument(
        "--as", dest="new_name", metavar="NAME", help="keep the outcome beside the present one, as a new configuration"
    )
    _add_setting(parser)
    _add_simulation(parser)


def _backfill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", nargs="*", metavar="CONFIG", help="configuration files, or their names in configs/")
    parser.add_argument(
        "--job", choices=("distil", "retune"), default="distil", help="what is run (default: %(default)s)"
    )
    parser.add_argument("--submit", action="store_true", help="hand it to Dagster's daemon instead of running it here")
    _add_setting(parser)
    _add_simulation(parser)


def _sweep(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    parser.add_argument(
        "--over",
        action="append",
        required=True,
        metavar="SECTION.KEY=[VALUE, …]",
        help="a setting and the values to try; may be repeated",
    )
    parser.add_argument("--as", dest="new_name", metavar="NAME", help="what the new configurations' names begin with")
    _add_simulation(parser)


def _rollback(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    parser.add_argument("--to", metavar="VERSION", help="which one (default: the one before)")
    parser.add_argument("--why", default="", metavar="TEXT", help="the reason, for the history")


def _serve(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--latest", action="store_true", help="the latest bundle, whether it is in service or not")
    parser.add_argument("--port", type=_port, default=8000, help="default: %(default)s")


def _simulate(parser: argparse.ArgumentParser) -> None:
    from distil_dagster.simulator.options import add_arguments

    add_arguments(parser)


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="CONFIG", help="a configuration file, its folder, or its name in configs/")


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 2**16:
        raise argparse.ArgumentTypeError("must be from 1 to 65535")
    return int(text)


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


_COMMANDS: Mapping[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "validate": ("check configuration files and name every mistake", _validate),
    "run": ("materialize the assets of a configuration, with live progress", _run),
    "retune": ("train again from the synthetic dataset as it is, with another student or other tuning", _retune),
    "backfill": ("run many configurations, one after another; without names all in configs/", _backfill),
    "sweep": ("train with every combination of some settings, from the synthetic dataset as it is", _sweep),
    "report": ("show the latest report of a configuration", _add_config),
    "service": ("show which student is in service, and how it came to be", _add_config),
    "rollback": ("put a student that was in service before back into service", _rollback),
    "serve": ("serve the student in service of a configuration, as OpenAI's API", _serve),
    "simulate": ("serve an OpenAI-compatible simulated teacher for a folder", _simulate),
}
