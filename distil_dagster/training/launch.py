"""Start the training program as processes of its own, listen to them, and end them with whoever started them.

A training takes every NVIDIA GPU that this machine shows (`CUDA_VISIBLE_DEVICES` may leave some out): one process a
GPU, under torchrun. The variable DISTIL_TRAINING_PROCESSES names another number; 1 trains on the first GPU alone. The
batch sizes of `tuning` are those of one process, so that more processes make larger and fewer updates. Predicting and
merging are always one process.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

from distil_dagster.errors import TrainingError
from distil_dagster.training.endings import ending, shown_code, signal_of
from distil_dagster.training.failures import memory_advice, what_is_kept
from distil_dagster.training.job import GrpoJob, Job, SftJob, write_job
from distil_dagster.training.reporting import ERROR_MARK

log = logging.getLogger("distil_dagster")

JOB_FILE = "job.json"
PROCESSES_VARIABLE = "DISTIL_TRAINING_PROCESSES"
_TIED = {"DISTIL_WORKER_TIED": "1"}
_TAIL = 15
_SECONDS_TO_END = 20.0
# Where a reason ends: another process gives its own, or torchrun begins to speak of the process that died.
_ENDS_OF_REASON = (ERROR_MARK, "Traceback (most recent call last):")
_LAUNCHER = "torch/distributed/elastic"
_KILLED_TEXT = "Signal 9 (SIGKILL) received"


def worker_command(job_path: Path, processes: int = 1) -> list[str]:
    """The command that does the job; accelerate and torchrun are the same launcher, and torchrun comes with torch."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    return [sys.executable, *launcher, "-m", "distil_dagster.training.worker", str(job_path)]


def processes_for(job: Job) -> int:
    """How many processes do a job: one a GPU in training, or as many as DISTIL_TRAINING_PROCESSES says.

    Raises:
        TrainingError: the variable holds no such number.
    """
    if not isinstance(job, SftJob | GrpoJob):
        return 1
    wanted = os.environ.get(PROCESSES_VARIABLE)
    if not wanted:
        return max(1, visible_gpus())
    if not wanted.isdecimal() or int(wanted) < 1:
        raise TrainingError(f"{PROCESSES_VARIABLE}: must be a number from 1, and is {wanted!r}")
    return int(wanted)


def visible_gpus() -> int:
    """How many GPUs a training could use. Torch is asked, for it knows what `CUDA_VISIBLE_DEVICES` leaves.

    In a process of its own: a process that has once initialised CUDA cannot be forked any more, keeps some hundred MB
    of the GPU for as long as it lives, and the asset's process would have to load torch for this alone.
    """
    if shutil.which("nvidia-smi") is None:
        return 0
    command = [sys.executable, "-c", "import torch; print(torch.cuda.device_count())"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return int(answer) if answer.isdecimal() else 0


def run_worker(job: Job, folder: Path) -> None:
    """Write the job's file into `folder`, do the job in processes of its own, and log what they say line by line.

    Raises:
        TrainingError: the program ended without its work done; carries its own reason, or its last lines.
    """
    with started_worker(job, folder, lambda line: log.info("%s", line)) as worker:
        worker.process.wait()
    if worker.process.returncode != 0:
        raise TrainingError(why_it_ended(worker.process.returncode, worker.lines, job))


class Worker:
    """The program at work: its process (torchrun's, where there are several) and the lines that it has printed."""

    def __init__(self, process: subprocess.Popen[str], tell: Callable[[str], None]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._tell = tell
        self._listener = threading.Thread(target=self._listen, name="worker output", daemon=True)
        self._listener.start()

    def end(self) -> None:
        """End the program with all its processes, should it still run, and hear it out.

        Only its own group is signalled, which nobody else is in. Torchrun hands the signal on to its processes; were it
        killed itself, they would end because their input does.
        """
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(timeout=_SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
        self._listener.join(timeout=_SECONDS_TO_END)

    def _listen(self) -> None:
        for line in self.process.stdout or ():
            self.lines.append(line.rstrip("\n"))
            self._tell(self.lines[-1])


@contextmanager
def started_worker(
    job: Job, folder: Path, tell: Callable[[str], None], environment: Mapping[str, str] | None = None
) -> Iterator[Worker]:
    """Write the job's file into `folder` and start the program; leaving the block ends it, whatever the cause.

    `tell` is given each line that it prints, from a thread.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_job(folder / JOB_FILE, job)
    processes = processes_for(job)
    process = subprocess.Popen(
        worker_command(folder / JOB_FILE, processes),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        env={**_shared_machine(processes), **os.environ, **_TIED, **(environment or {})},
    )
    worker = Worker(process, tell)
    try:
        yield worker
    finally:
        worker.end()


def why_it_ended(code: int, lines: Sequence[str], job: Job) -> str:
    """The program's own reason if it gave one, else what its end and last lines tell."""
    for at, line in enumerate(lines):
        if line.startswith(ERROR_MARK):
            more = takewhile(_belongs_to_reason, lines[at + 1 :])
            return "\n".join([line.removeprefix(ERROR_MARK), *more])
    if signal_of(code) is signal.SIGKILL or any(_KILLED_TEXT in line for line in lines):
        return (
            "the training program was killed, most likely because the machine ran "
            f"{memory_advice(job)}{what_is_kept(job)} ({shown_code(-signal.SIGKILL)})"
        )
    return f"the training program ended with {ending(code)}\n" + "\n".join(lines[-_TAIL:])


def _belongs_to_reason(line: str) -> bool:
    return not line.startswith(_ENDS_OF_REASON) and _LAUNCHER not in line


def _shared_machine(processes: int) -> dict[str, str]:
    """What several processes on one machine need: their share of its cores, and torch's own chatter left out."""
    if processes == 1:
        return {}
    cores = os.cpu_count() or 1
    return {"OMP_NUM_THREADS": str(max(1, cores // processes)), "TORCH_CPP_LOG_LEVEL": "ERROR"}
