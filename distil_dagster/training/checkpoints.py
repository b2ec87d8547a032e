"""Checkpoints that outlive a kill: whose they are, and which of them is whole."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

from distil_dagster.data.examples import content_id
from distil_dagster.training.job import GrpoJob, SftJob

log = logging.getLogger("distil_dagster")


def own_checkpoints(job: SftJob | GrpoJob) -> Path:
    """The folder of this very job's checkpoints; those of other rows or settings are removed."""
    rows = (job.train_rows, job.eval_rows) if isinstance(job, SftJob) else (job.rows,)
    weights = (job.student,) if isinstance(job, SftJob) else (job.model, job.adapter)
    contents = [path.read_text(encoding="utf-8") for path in rows]
    name = content_id(job.tuning.model_dump(mode="json"), job.seed, *map(str, weights), contents)
    own = job.checkpoints / name
    own.mkdir(parents=True, exist_ok=True)
    for other in job.checkpoints.iterdir():
        if other != own:
            shutil.rmtree(other, ignore_errors=True)
    return own


def train_on(trainer: Any, checkpoints: Path, phase: str) -> int:
    """Train to the end, from the last complete checkpoint if there is one; gives the step that it began after."""
    found = last_complete_checkpoint(checkpoints)
    if found is None:
        trainer.train()
        return 0
    log.info("%s: going on from step %d", phase, step_of(found))
    trainer.train(resume_from_checkpoint=str(found))
    return step_of(found)


def last_complete_checkpoint(checkpoints: Path) -> Path | None:
    """The latest checkpoint that was written to its end; the trainer writes its own state last."""
    for folder in sorted(checkpoints.glob("checkpoint-*"), key=step_of, reverse=True):
        try:
            json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return folder
    return None


def step_of(checkpoint: Path) -> int:
    """The step that a checkpoint's folder is named after."""
    return int(checkpoint.name.rpartition("-")[2])
