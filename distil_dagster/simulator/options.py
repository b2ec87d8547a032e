"""How the simulated models behave, and the same as arguments of a command line."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from distil_dagster.simulator.faults import Faults


@dataclass(frozen=True)
class Options:
    """Behaviour of the simulated provider.

    `error_rate` is the share of wrong answers, `error_rates` the same for models by name. `latency` and
    `retry_after` are in seconds. At most `slots` requests are served at once, the next is refused with 429; `None`
    serves all. `stats_file` receives the counts, as JSON, after every change.
    """

    seed: int = 123
    error_rate: float = 0.0
    error_rates: Mapping[str, float] = field(default_factory=dict)
    latency: float = 0.0
    faults: Faults = field(default_factory=Faults)
    retry_after: float = 1.0
    slots: int | None = None
    stats_file: Path | None = None

    def error_rate_of(self, model: str) -> float:
        """The share of wrong answers of one model, named as it was asked or by the last part of that name."""
        own_name = model.rpartition("/")[2]
        return self.error_rates.get(model, self.error_rates.get(own_name, self.error_rate))


def add_arguments(parser: ArgumentParser) -> None:
    """Give `parser` the folder, the address and every option of the simulated provider."""
    parser.add_argument(
        "--case",
        type=Path,
        required=True,
        help="folder with rules.yaml, with traces and gold.jsonl, or with train and test rows",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8199, help="port to listen on (default: %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=Options.seed, help="seed of errors and faults (default: %(default)s)"
    )
    parser.add_argument(
        "--error-rate",
        type=_error_rate,
        action="append",
        default=[],
        metavar="[MODEL=]RATE",
        help="share of wrong answers, of every model or of one; may be given several times",
    )
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer (default: %(default)s)")
    for fault in fields(Faults):
        parser.add_argument(f"--{fault.name}-rate", type=_share, default=0.0, help=f"share of requests to {fault.name}")
    parser.add_argument(
        "--retry-after", type=float, default=1.0, help="seconds that a refusal names (default: %(default)s)"
    )
    parser.add_argument("--slots", type=int, default=None, help="requests served at once (default: no limit)")
    parser.add_argument("--stats-file", type=Path, default=None, help="JSON file that always holds the counts")


def options_from(arguments: Namespace) -> Options:
    """The options that a command line parsed with `add_arguments` asks for."""
    rates: dict[str | None, float] = dict(arguments.error_rate)
    return Options(
        seed=arguments.seed,
        error_rate=rates.get(None, 0.0),
        error_rates={model: rate for model, rate in rates.items() if model is not None},
        latency=arguments.latency,
        faults=Faults(**{fault.name: getattr(arguments, f"{fault.name}_rate") for fault in fields(Faults)}),
        retry_after=arguments.retry_after,
        slots=arguments.slots,
        stats_file=arguments.stats_file,
    )


def _error_rate(text: str) -> tuple[str | None, float]:
    model, _, rate = text.rpartition("=")
    return (model or None), _share(rate)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a number between 0 and 1") from None
    if not 0 <= share <= 1:
        raise ArgumentTypeError(f"{text!r} is not between 0 and 1")
    return share
