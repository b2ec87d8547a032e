"""Checkpoints that outlive a kill: whose they are, and which of them is whole."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from distil_dagster.data.examples import content_id
from distil_dagster.training.job import SftJob


def own_checkpoints(job: SftJob) -> Path:
    """The folder of this very job's checkpoints; those of other rows or settings are removed."""
    contents = [path.read_text(encoding="utf-8") for path in (job.train_rows, job.eval_rows)]
    name = content_id(job.tuning.model_dump(mode="json"), job.seed, str(job.student), contents)
    own = job.checkpoints / name
    own.mkdir(parents=True, exist_ok=True)
    for other in job.checkpoints.iterdir():
        if other != own:
            shutil.rmtree(other, ignore_errors=True)
    return own


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
