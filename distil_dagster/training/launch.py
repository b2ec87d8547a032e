"""Start the training program as a process of its own and listen to it."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from distil_dagster.errors import TrainingError
from distil_dagster.training.job import Job, write_job
from distil_dagster.training.reporting import ERROR_MARK

log = logging.getLogger("distil_dagster")

JOB_FILE = "job.json"
_TAIL = 15


def worker_command(job_path: Path, command_prefix: Sequence[str] = ()) -> list[str]:
    """The command that does the job; a prefix such as `torchrun --nproc-per-node=2` takes the place of `python`."""
    return [*(command_prefix or (sys.executable,)), "-m", "distil_dagster.training.worker", str(job_path)]


def run_worker(job: Job, folder: Path, command_prefix: Sequence[str] = ()) -> None:
    """Write the job's file into `folder`, do the job in a process of its own, and log what it says line by line.

    Raises:
        TrainingError: the program ended without its work done; carries its own reason, or its last lines.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_job(folder / JOB_FILE, job)
    lines: list[str] = []
    command = worker_command(folder / JOB_FILE, command_prefix)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1) as process:
        try:
            for line in process.stdout or ():
                lines.append(line.rstrip("\n"))
                log.info("%s", lines[-1])
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        raise TrainingError(why_it_ended(process.returncode, lines))


def why_it_ended(code: int, lines: Sequence[str]) -> str:
    """The program's own reason if it gave one, else what its end and last lines tell."""
    for at, line in enumerate(lines):
        if line.startswith(ERROR_MARK):
            return "\n".join([line.removeprefix(ERROR_MARK), *lines[at + 1 :]])
    if code in (-9, 137):
        return (
            "the training program was killed, most likely because the machine ran out of memory: "
            "lower tuning.per_device_train_batch_size (in RLVR rlvr_per_device_batch_size), "
            "or set tuning.memory_optimized_training to true"
        )
    return f"the training program ended with code {code}:\n" + "\n".join(lines[-_TAIL:])
