"""What a run shows on the terminal: which asset is being made, lines from the phases, and the table at the end."""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from distil_dagster.progress import clock

if TYPE_CHECKING:
    from dagster import AssetCheckEvaluation, DagsterEvent, EventLogEntry

    from distil_dagster.cli.backfilling import Outcome
    from distil_dagster.evaluation.artefacts import EvalReport
    from distil_dagster.evaluation.in_service import InService


class RunConsole:
    """Lines on standard output, in colour where that is a terminal."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._assets: frozenset[str] = frozenset()
        self._started: dict[str, float] = {}

    def follow(self, assets: Iterable[str]) -> None:
        """Show the steps of these assets by name; the steps of their checks show as what the checks say."""
        self._assets = frozenset(assets)

    def notice(self, text: str) -> None:
        """Something that the reader must know."""
        self._console.print(text, style="bold yellow", markup=False)

    def warn(self, text: str) -> None:
        """Something that may be a mistake."""
        self._console.print(f"warning: {text}", style="yellow", markup=False)

    def line(self, text: str) -> None:
        """A line of progress."""
        self._console.print(f"    {text}", style="dim", markup=False)

    def show_event(self, entry: "EventLogEntry", _cursor: str = "") -> None:
        """An event of the run: a logged line, a step that starts, ends or fails, a check that fails."""
        event = entry.dagster_event
        if event is None:
            if isinstance(entry.level, int) and entry.level >= logging.INFO:
                self.line(entry.user_message)
        elif event.step_key is not None:
            self._show_step(event, event.step_key)

    def _show_step(self, event: "DagsterEvent", step: str) -> None:
        kind = event.event_type_value
        if kind == "STEP_START" and step in self._assets:
            self._started[step] = time.monotonic()
            self._console.print(f"[bold]{step}[/bold]")
        elif kind == "STEP_SUCCESS" and step in self._started:
            self._console.print(f"  [green]done[/green] in {clock(time.monotonic() - self._started[step])}")
        elif kind == "STEP_FAILURE":
            self._console.print(f"  [bold red]failed[/bold red]: {step}")
            self._console.print(_cause(event.step_failure_data.error), style="red", markup=False)
        elif kind == "ASSET_CHECK_EVALUATION":
            self._show_check(event.asset_check_evaluation_data)

    def _show_check(self, check: "AssetCheckEvaluation") -> None:
        name = f"{check.asset_key.to_user_string()}: {check.check_name}"
        if check.passed:
            self._console.print(f"  check [green]passed[/green]: {name}")
        else:
            self.warn(f"check did not pass: {name}: {check.description or 'see its metadata'}")

    def finished(self, succeeded: bool, seconds: float) -> None:
        """The end of the run."""
        outcome = "[green]finished[/green]" if succeeded else "[bold red]failed[/bold red]"
        self._console.print(f"Run {outcome} in {clock(seconds)}")

    def title(self, text: str) -> None:
        """What begins now, of several things that are done one after another."""
        self._console.rule(f"[bold]{text}[/bold]", align="left")

    def outcomes(self, outcomes: "Sequence[Outcome]") -> None:
        """How the runs of a backfill ended, side by side."""
        table = Table()
        for column in ("configuration", "outcome", "time", "metric", "original", "teacher", "tuned", "verdict"):
            table.add_column(column)
        for outcome in outcomes:
            state = "[green]finished[/green]" if outcome.succeeded else "[bold red]failed[/bold red]"
            table.add_row(outcome.partition, state, clock(outcome.seconds), *_figures(outcome.report))
        self._console.print(table)

    def service(self, partition: str, pointer: "InService", bundle: Path | None) -> None:
        """The student in service and the decisions that led to it, the latest first."""
        self._console.print(f"{partition}: in service is {pointer.current or 'none'}", style="bold", markup=False)
        if bundle is not None:
            self._console.print(f"Bundle: {bundle}", markup=False)
        table = Table()
        for column in ("when", "version", "decision", "metric", "score", "before", "original", "why"):
            table.add_column(column)
        for entry in reversed(pointer.history):
            scores = (entry.score, entry.before, entry.original)
            figures = ("–" if score is None else f"{score:.3f}" for score in scores)
            table.add_row(entry.at, entry.version, entry.action, entry.metric, *figures, entry.reason)
        self._console.print(table)

    def report(self, report: "EvalReport") -> None:
        """The table of all models and where the report lies."""
        table = Table(title=f"{report.title}: {report.verdict}")
        table.add_column("model")
        for metric in report.metrics:
            table.add_column(metric, justify="right")
        for row in report.summary:
            scores = [row.means.get(metric) for metric in report.metrics]
            table.add_row(row.title, *("–" if score is None else f"{score:.3f}" for score in scores))
        self._console.print(table)
        self._console.print(report.sentence, markup=False)
        for notice in report.notices:
            self.notice(notice)
        self._console.print(f"Report: {report.report / 'report.html'}", markup=False)


class _ConsoleHandler(logging.Handler):
    def __init__(self, console: RunConsole) -> None:
        super().__init__(logging.INFO)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.line(record.getMessage())


@contextmanager
def package_log_shown(console: RunConsole, *, already_in_events: bool) -> Iterator[None]:
    """Show what the package logs for the time of a run, unless the instance makes it events of the run anyway."""
    logger = logging.getLogger("distil_dagster")
    handler: logging.Handler = logging.NullHandler() if already_in_events else _ConsoleHandler(console)
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


def _figures(report: "EvalReport | None") -> list[str]:
    if report is None:
        return []
    scores = (report.mean("original"), report.mean("teacher"), report.tuned)
    return [report.primary_metric, *("–" if score is None else f"{score:.3f}" for score in scores), report.verdict]


def _cause(error: object) -> str:
    """The innermost cause of a step's failure, as its own message says it; the rest is in Dagster's log."""
    while getattr(error, "cause", None) is not None:
        error = error.cause  # type: ignore[attr-defined]
    return str(getattr(error, "message", error)).strip()
