"""The training program under Dagster Pipes: its log lines in the run's log, its measurements as observations."""

import os
import subprocess
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

from distil_dagster.errors import TrainingError
from distil_dagster.training.job import Job, write_job
from distil_dagster.training.launch import JOB_FILE, why_it_ended, worker_command

_POLL_SECONDS = 1.0
_OBSERVATION_SECONDS = 10.0


def run_worker(context: dg.AssetExecutionContext, job: Job, folder: Path) -> None:
    """Do a job in a process of its own.

    While it runs, its measurements (step, loss, …) are observations of the asset, so that the UI plots them live.

    Raises:
        TrainingError: the program ended without its work done; carries its own reason.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_job(folder / JOB_FILE, job)
    with _open_session(context) as session:
        process = subprocess.Popen(
            worker_command(folder / JOB_FILE), env={**os.environ, **session.get_bootstrap_env_vars()}
        )
        try:
            _watch(context, process, session)
        finally:
            _end(process)
    if process.returncode != 0:
        raise TrainingError(_reason(process.returncode, session.get_custom_messages()))


@contextmanager
def _open_session(context: dg.AssetExecutionContext) -> Iterator[Any]:
    with ExitStack() as stack:
        with warnings.catch_warnings():
            # Of a property of its own that Dagster reads itself.
            warnings.simplefilter("ignore", dg.PreviewWarning)
            session = stack.enter_context(
                dg.open_pipes_session(
                    context=context,
                    context_injector=dg.PipesTempFileContextInjector(),
                    message_reader=dg.PipesTempFileMessageReader(),
                )
            )
        yield session


def _watch(context: dg.AssetExecutionContext, process: "subprocess.Popen[bytes]", session: Any) -> None:
    seen, last = 0, time.monotonic()
    while True:
        running = process.poll() is None
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


def _reason(code: int, messages: Sequence[Mapping[str, Any]]) -> str:
    errors = [str(message["error"]) for message in messages if "error" in message]
    return errors[-1] if errors else why_it_ended(code, [])


def _end(process: "subprocess.Popen[bytes]") -> None:
    """A run that is terminated takes its training program with it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
