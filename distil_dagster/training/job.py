"""What the training program can be asked to do: a JSON file a job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from distil_dagster.config.pipeline import PipelineConfig
from distil_dagster.config.sections import Tuning
from distil_dagster.data.job import JobDescription
from distil_dagster.data.messages import Frozen
from distil_dagster.data.store import write_text
from distil_dagster.errors import TrainingError


class SftJob(Frozen):
    """Supervised fine-tuning.

    `output` will hold the adapter (or, without LoRA, all weights), `training_curve.jsonl`, `mask_audit.md` and
    `summary.json`. `checkpoints` outlives a kill; the same job, started again, goes on from there.
    """

    kind: Literal["sft"] = "sft"
    student: Path
    tuning: Tuning
    seed: int
    train_rows: Path
    eval_rows: Path
    output: Path
    checkpoints: Path


class GrpoJob(Frozen):
    """Reinforcement learning of a tuned student (GRPO): the judge's verdicts on what it writes are the rewards.

    `model` with `adapter` is the tuned student; without LoRA it is `model` alone. The judge, its routes and the task
    are those of `config`, which names secrets and never holds them; its answers go to the journal in the folder
    `journal`. `rows` to train on and `held_out` rows to measure on are `RewardRow`s. `output` and `checkpoints` are as
    in `SftJob`, without a mask audit.
    """

    kind: Literal["grpo"] = "grpo"
    model: Path
    adapter: Path | None = None
    config: PipelineConfig
    description: JobDescription
    journal: Path
    seed: int
    rows: Path
    held_out: Path
    max_new_tokens: int = Field(default=256, ge=1)
    output: Path
    checkpoints: Path

    @property
    def tuning(self) -> Tuning:
        """How the student is trained."""
        return self.config.tuning


class PredictJob(Frozen):
    """Answers of a model, or of a model with an adapter, to every row; greedy, so that asking again changes nothing."""

    kind: Literal["predict"] = "predict"
    model: Path
    adapter: Path | None = None
    rows: Path
    output: Path
    max_new_tokens: int = Field(default=256, ge=1)
    batch_size: int = Field(default=64, ge=1)


class MergeJob(Frozen):
    """Adapter and model as one folder that needs neither; without an adapter, the model alone."""

    kind: Literal["merge"] = "merge"
    model: Path
    adapter: Path | None = None
    output: Path


Job = Annotated[SftJob | GrpoJob | PredictJob | MergeJob, Field(discriminator="kind")]
_JOB: TypeAdapter[Job] = TypeAdapter(Job)


def write_job(path: Path, job: Job) -> None:
    """Write the job's file."""
    write_text(path, job.model_dump_json(indent=2) + "\n")


def read_job(path: Path) -> Job:
    """Read a job's file.

    Raises:
        TrainingError: the file is missing or does not say a job.
    """
    try:
        return _JOB.validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TrainingError(f"{path}: missing") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise TrainingError(f"{path}: {key or 'job'}: {first['msg']}") from None
