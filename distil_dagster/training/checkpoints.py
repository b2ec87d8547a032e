"""Checkpoints that outlive a kill: whose they are, and which of them is whole.

The trainer writes a checkpoint in this order: weights, optimiser, schedule, states of the random numbers (each process
its own), and last `trainer_state.json`. None of it is renamed into place, so a kill leaves a folder that lacks the last
files or has one cut short; of several processes, one may not have written its state when the last file stands.
"""

from __future__ import annotations

import json
import logging
import shutil
import zipfile
from pathlib import Path
from typing import Any

from distil_dagster.data.examples import content_id
from distil_dagster.errors import TrainingError
from distil_dagster.training.job import GrpoJob, SftJob
from distil_dagster.training.ranks import is_first_process, processes
from distil_dagster.training.weight_files import ADAPTER, check_safetensors, weight_files

log = logging.getLogger("distil_dagster")

_STATE = "trainer_state.json"


def own_checkpoints(job: SftJob | GrpoJob) -> Path:
    """The folder of this very job's checkpoints; those of other rows, settings or numbers of processes are removed.

    Every process may call it: all name the same folder, and only the first one removes others.
    """
    rows = (job.train_rows, job.eval_rows) if isinstance(job, SftJob) else (job.rows, job.held_out)
    weights = (job.student,) if isinstance(job, SftJob) else (job.model, job.adapter)
    contents = [path.read_text(encoding="utf-8") for path in rows]
    name = content_id(job.tuning.model_dump(mode="json"), job.seed, *map(str, weights), contents, processes())
    own = job.checkpoints / name
    own.mkdir(parents=True, exist_ok=True)
    if is_first_process():
        for other in job.checkpoints.iterdir():
            if other != own:
                shutil.rmtree(other, ignore_errors=True)
    return own


def train_on(trainer: Any, checkpoints: Path, phase: str) -> int:
    """Train to the end, from the last complete checkpoint if there is one; gives the step that it began after."""
    found = last_complete_checkpoint(checkpoints)
    if is_first_process():
        _remove_broken(checkpoints)
    if found is None:
        trainer.train()
        return 0
    log.info("%s: going on from step %d", phase, step_of(found))
    trainer.train(resume_from_checkpoint=str(found))
    return step_of(found)


def last_complete_checkpoint(checkpoints: Path) -> Path | None:
    """The latest checkpoint that was written to its end."""
    complete = [folder for folder in checkpoints.glob("checkpoint-*") if is_complete(folder)]
    return max(complete, key=step_of, default=None)


def is_complete(checkpoint: Path, of_processes: int | None = None) -> bool:
    """Whether a training can go on from a checkpoint: every file is there and none is cut short."""
    count = of_processes or processes()
    names = ["rng_state.pth"] if count == 1 else [f"rng_state_{rank}.pth" for rank in range(count)]
    # Torch's files are zip archives; their table of contents stands at the end.
    archives = [checkpoint / name for name in ("optimizer.pt", "scheduler.pt", *names)]
    try:
        state = json.loads((checkpoint / _STATE).read_text(encoding="utf-8"))
        weights = [checkpoint / ADAPTER] if (checkpoint / ADAPTER).is_file() else weight_files(checkpoint)
        for path in weights:
            check_safetensors(path)
        return state["global_step"] == step_of(checkpoint) and all(map(zipfile.is_zipfile, archives))
    except (OSError, ValueError, KeyError, TypeError, TrainingError):
        return False


def step_of(checkpoint: Path) -> int:
    """The step that a checkpoint's folder is named after."""
    return int(checkpoint.name.rpartition("-")[2])


def _remove_broken(checkpoints: Path) -> None:
    """What a kill or a full disk left half written takes room, and counts among those that the trainer keeps."""
    for folder in checkpoints.glob("checkpoint-*"):
        if not is_complete(folder):
            log.info("%s: not whole, removed", folder)
            shutil.rmtree(folder, ignore_errors=True)
