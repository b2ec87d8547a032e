"""Assets of training: sft_adapter and rlvr_adapter; both run on the GPU where there is one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg

from distil_dagster.assets import metadata as show
from distil_dagster.data.examples import Example
from distil_dagster.job import Job
from distil_dagster.orchestration.executors import GPU_POOL, ON_GPU
from distil_dagster.orchestration.partitions import configs
from distil_dagster.orchestration.resources import DistilConfig, Store
from distil_dagster.orchestration.worker import run_worker
from distil_dagster.synthesis.rows import SyntheticDataset
from distil_dagster.traces.seeds import SeedData
from distil_dagster.training.curve import FILE_NAME as CURVE_FILE
from distil_dagster.training.curve import CurvePoint
from distil_dagster.training.preparing import is_trained, prepare_prediction, prepare_sft
from distil_dagster.training.rows import Written, read_rows
from distil_dagster.training.sft import AUDIT_FILE
from distil_dagster.training.weights import student_weights

GROUP = "training"


@dataclass(frozen=True)
class Adapter:
    """A trained student: `weights` is a LoRA adapter for `base_model`, or without LoRA a model of its own."""

    weights: Path
    base_model: str
    source: str
    stage: str
    is_lora: bool
    curve: list[CurvePoint]
    note: str = ""


@dg.asset(partitions_def=configs, group_name=GROUP, kinds={"pytorch", "huggingface"}, op_tags=ON_GPU, pool=GPU_POOL)
def sft_adapter(
    context: dg.AssetExecutionContext,
    distil: DistilConfig,
    store: Store,
    seed_data: SeedData,
    synthetic_dataset: SyntheticDataset,
) -> dg.MaterializeResult[Adapter]:
    """The student after supervised fine-tuning on the training seeds and the synthetic dataset."""
    job = distil.job(context.partition_key)
    student = job.config.base.student_model_name
    weights = student_weights(student, job.config.data.students)
    examples = [*seed_data.train, *(row.as_example() for row in synthetic_dataset.accepted)]
    work = store.artefacts.work_folder("sft_adapter", context.partition_key)
    training = prepare_sft(job, examples, weights, work)
    if is_trained(training):
        context.log.info("The same rows, settings and weights were trained before: that adapter is taken")
    else:
        run_worker(context, training, training.output.parent)
    curve = read_rows(training.output / CURVE_FILE, CurvePoint)
    return dg.MaterializeResult(
        value=Adapter(training.output, str(weights.folder), weights.source, "sft", job.config.tuning.use_lora, curve),
        metadata={
            "student": f"{student} ({weights.source})",
            "examples": len(examples),
            **_losses(curve),
            "loss_curve": show.loss_curve(curve),
            "mask_audit": dg.MetadataValue.md((training.output / AUDIT_FILE).read_text(encoding="utf-8")),
            **show.settings(job, "base", "tuning"),
        },
    )


@dg.asset(partitions_def=configs, group_name=GROUP, kinds={"pytorch", "huggingface"}, op_tags=ON_GPU, pool=GPU_POOL)
def rlvr_adapter(
    context: dg.AssetExecutionContext, distil: DistilConfig, sft_adapter: Adapter
) -> dg.MaterializeResult[Adapter]:
    """The student after reinforcement learning; where that is off, the SFT adapter as it is."""
    job = distil.job(context.partition_key)
    note = "RLVR is off (tuning.rlvr_dataset_size is 0): this is the SFT adapter"
    context.log.info(note)
    return dg.MaterializeResult(
        value=replace(sft_adapter, note=note), metadata={"note": note, **show.settings(job, "tuning")}
    )


def predict(
    context: dg.AssetExecutionContext, job: Job, model: Path, adapter: Path | None, work: Path, rows: Sequence[Example]
) -> list[Written]:
    """What a student writes for each row, asked in a process of its own; what was asked before is read from `work`."""
    prediction = prepare_prediction(job, rows, model, adapter, work)
    if not prediction.output.is_file():
        run_worker(context, prediction, prediction.output.parent)
    return read_rows(prediction.output, Written)


def model_and_adapter(tuned: Adapter) -> tuple[Path, Path | None]:
    """The folders to load for a tuned student."""
    return (Path(tuned.base_model), tuned.weights) if tuned.is_lora else (tuned.weights, None)


def _losses(curve: Sequence[CurvePoint]) -> show.Metadata:
    losses = [point.loss for point in curve if point.loss is not None]
    held_out = [point.eval_loss for point in curve if point.eval_loss is not None]
    return {
        "final_training_loss": losses[-1] if losses else 0.0,
        "lowest_held_out_loss": min(held_out) if held_out else 0.0,
        "steps": max((point.step for point in curve), default=0),
    }
