"""How the training program tells how it is doing: through Dagster Pipes under Dagster, else on its own output.

Lines for people go to the package's logger, as everywhere; `open_report` decides where that leads.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from distil_dagster.training.ranks import is_first_process

if TYPE_CHECKING:
    from dagster_pipes import PipesContext

ERROR_MARK = "error: "

log = logging.getLogger("distil_dagster")


class Report(Protocol):
    """Takes what a job tells a machine while it runs."""

    def measured(self, values: Mapping[str, Any]) -> None:
        """Values of one moment: step, loss, learning_rate, tokens_per_second, eval_loss."""

    def failed(self, text: str) -> None:
        """Why the job ended without its work done."""


class PrintedReport:
    """For a terminal: the values stand in the lines already."""

    def measured(self, values: Mapping[str, Any]) -> None:
        """Say nothing."""

    def failed(self, text: str) -> None:
        """Print the reason where errors go."""
        print(f"{ERROR_MARK}{text}", file=sys.stderr, flush=True)


class PipesReport:
    """For Dagster: values are custom messages of the run."""

    def __init__(self, pipes: PipesContext) -> None:
        self._pipes = pipes

    def measured(self, values: Mapping[str, Any]) -> None:
        """Send the values as a custom message."""
        self._pipes.report_custom_message(dict(values))

    def failed(self, text: str) -> None:
        """Send the reason to the run's log and, as a custom message `error`, to whoever started the program."""
        self._pipes.log.error(text)
        self._pipes.report_custom_message({"error": text})


@contextmanager
def open_report() -> Iterator[Report]:
    """The report that fits how this process was started; of several processes on as many GPUs, the first one tells."""
    if "DAGSTER_PIPES_CONTEXT" in os.environ and is_first_process():
        from dagster_pipes import open_dagster_pipes

        with open_dagster_pipes() as pipes:
            _lead_log_to(*pipes.log.handlers)
            yield PipesReport(pipes)
    else:
        _lead_log_to(logging.StreamHandler(sys.stdout) if is_first_process() else logging.NullHandler())
        yield PrintedReport()


def _lead_log_to(*handlers: logging.Handler) -> None:
    log.setLevel(logging.INFO)
    log.propagate = False
    log.handlers = list(handlers)
