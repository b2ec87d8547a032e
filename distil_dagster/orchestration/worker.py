"""The training program under Dagster Pipes: its log lines in the run's log, its measurements as observations."""

import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

from distil_dagster.errors import TrainingError
from distil_dagster.orchestration.messages import WholeLines
from distil_dagster.training.job import Job
from distil_dagster.training.launch import Worker, started_worker, why_it_ended

_POLL_SECONDS = 1.0
_OBSERVATION_SECONDS = 10.0


def run_worker(context: dg.AssetExecutionContext, job: Job, folder: Path) -> None:
    """Do a job in processes of its own, over all GPUs that this one may see; interrupted, it takes them with it.

    While it runs, its measurements (step, loss, …) are observations of the asset, so that the UI plots them live.

    Raises:
        TrainingError: the program ended without its work done; carries its own reason.
    """
    with (
        _open_session(context, folder / "messages") as session,
        started_worker(job, folder, _print, session.get_bootstrap_env_vars()) as worker,
    ):
        _watch(context, worker, session)
    if worker.process.returncode != 0:
        raise TrainingError(_reason(worker, session.get_custom_messages(), job))


@contextmanager
def _open_session(context: dg.AssetExecutionContext, messages: Path) -> Iterator[Any]:
    messages.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        with warnings.catch_warnings():
            # Of a property of its own that Dagster reads itself.
            warnings.simplefilter("ignore", dg.PreviewWarning)
            session = stack.enter_context(
                dg.open_pipes_session(
                    context=context,
                    context_injector=dg.PipesTempFileContextInjector(),
                    message_reader=WholeLines(messages),
                )
            )
        yield session


def _print(line: str) -> None:
    """What is no line of ours, such as a library's warning, goes where the step's own output goes."""
    print(line, file=sys.stderr, flush=True)


def _watch(context: dg.AssetExecutionContext, worker: Worker, session: Any) -> None:
    seen, last = 0, time.monotonic()
    while True:
        running = worker.process.poll() is None
        messages = session.get_custom_messages()
        if len(messages) > seen and (not running or time.monotonic() - last >= _OBSERVATION_SECONDS):
            _observe(context, messages[seen:])
            seen, last = len(messages), time.monotonic()
        if not running:
            return
        time.sleep(_POLL_SECONDS)


def _observe(context: dg.AssetExecutionContext, messages: Sequence[Mapping[str, Any]]) -> None:
    """The latest value of each measurement, as one observation."""
    latest = {key: value for message in messages for key, value in message.items() if isinstance(value, int | float)}
    if latest:
        context.log_event(
            dg.AssetObservation(asset_key=context.asset_key, partition=context.partition_key, metadata=latest)
        )


def _reason(worker: Worker, messages: Sequence[Mapping[str, Any]], job: Job) -> str:
    errors = [str(message["error"]) for message in messages if "error" in message]
    return errors[-1] if errors else why_it_ended(worker.process.returncode, worker.lines, job)
