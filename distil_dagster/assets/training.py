"""Assets of training: sft_adapter and rlvr_adapter; both run on the GPU where there is one."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import dagster as dg

from distil_dagster.assets import metadata as show
from distil_dagster.assets.checks import Finding, check
from distil_dagster.assets.phase import phase
from distil_dagster.data.examples import Example, content_id
from distil_dagster.data.mirror import mirrored_folder
from distil_dagster.errors import TrainingError
from distil_dagster.evaluation.metrics import metric_title
from distil_dagster.evaluation.predictions import ModelRole
from distil_dagster.job import Job
from distil_dagster.orchestration.resources import DistilConfig
from distil_dagster.orchestration.storage import Store
from distil_dagster.orchestration.worker import run_worker
from distil_dagster.synthesis.rows import SyntheticDataset
from distil_dagster.traces.seeds import SeedData
from distil_dagster.training.checkpoints import is_complete
from distil_dagster.training.choosing import Choice, choose, reward_hacking
from distil_dagster.training.curve import FILE_NAME as CURVE_FILE
from distil_dagster.training.curve import CurvePoint
from distil_dagster.training.grpo import GrpoSummary
from distil_dagster.training.job import GrpoJob, PredictJob, SftJob
from distil_dagster.training.launch import processes_for
from distil_dagster.training.preparing import (
    held_out_examples,
    is_trained,
    prepare_prediction,
    prepare_rlvr,
    prepare_sft,
    split_for_rlvr,
    student_shots,
)
from distil_dagster.training.rows import Written, read_rows
from distil_dagster.training.sft import AUDIT_FILE, SUMMARY_FILE
from distil_dagster.training.weights import student_weights

GROUP = "training"
Training = TypeVar("Training", SftJob, GrpoJob)


@dataclass(frozen=True)
class Adapter:
    """A trained student: `weights` is a LoRA adapter for `base_model`, or without LoRA a model of its own.

    `base_model` is the folder that `student`, by catalogue name, had on the machine that trained it.
    `learned_from` names the examples of SFT and how they were split. `ships` is whether it is delivered: after RLVR,
    where that helped. `note` says why, `warning` what else there is to know.
    """

    weights: Path
    base_model: str
    source: str
    stage: ModelRole
    is_lora: bool
    curve: list[CurvePoint]
    learned_from: str = ""
    student: str = ""
    ships: bool = True
    note: str = ""
    warning: str = ""


@phase(GROUP, on="gpu", reading=("task", "student", "tuning"), kinds={"pytorch", "huggingface"})
def sft_adapter(
    context: dg.AssetExecutionContext,
    distil: DistilConfig,
    store: Store,
    seed_data: SeedData,
    synthetic_dataset: SyntheticDataset,
) -> dg.MaterializeResult[Adapter]:
    """The student after supervised fine-tuning on the training seeds and the synthetic dataset.

    Where RLVR is on, its share of them is kept for it.
    """
    job = distil.job(context.partition_key)
    student = job.config.base.student_model_name
    weights = student_weights(student, job.students)
    shots = student_shots(job, seed_data.train)
    examples, kept_for_rlvr = _split(job, seed_data, synthetic_dataset, shots)
    work = store.artefacts.work_folder("sft_adapter", context.partition_key)
    training = _train(context, store, lambda: prepare_sft(job, examples, weights, work, shots))
    curve = read_rows(training.output / CURVE_FILE, CurvePoint)
    return dg.MaterializeResult(
        value=Adapter(
            training.output,
            str(weights.folder),
            weights.source,
            "sft",
            job.config.tuning.use_lora,
            curve,
            learned_from=_name_of_split(job, examples),
            student=student,
        ),
        metadata={
            "student": f"{student} ({weights.source})",
            "examples": len(examples),
            "examples_kept_for_rlvr": len(kept_for_rlvr),
            "examples_shown": len(shots),
            **_losses(curve),
            "loss_curve": show.loss_curve(curve),
            "mask_audit": dg.MetadataValue.md((training.output / AUDIT_FILE).read_text(encoding="utf-8")),
            **show.settings(job, "base", "tuning"),
        },
    )


@check()
def reward_means_quality(tuned: Adapter) -> Finding:
    """The reward did not rise while the primary metric on held-out rows fell (reward hacking)."""
    return Finding(not tuned.warning, tuned.warning or tuned.note)


@phase(
    GROUP,
    on="gpu",
    reading=("task", "judge", "tuning"),
    kinds={"pytorch", "huggingface"},
    checks=(reward_means_quality,),
    buys_answers=True,
)
def rlvr_adapter(
    context: dg.AssetExecutionContext,
    distil: DistilConfig,
    store: Store,
    seed_data: SeedData,
    synthetic_dataset: SyntheticDataset,
    sft_adapter: Adapter,
) -> dg.MaterializeResult[Adapter]:
    """The student after reinforcement learning; where that is off, the SFT adapter as it is.

    Only where it is better on held-out rows is it delivered.

    Raises:
        TrainingError: SFT learned from what is kept for RLVR or held out, as its settings were others.
    """
    job = distil.job(context.partition_key)
    if job.config.tuning.rlvr_dataset_size == 0:
        note = "RLVR is off (tuning.rlvr_dataset_size is 0): this is the SFT adapter"
        context.log.info(note)
        unchanged = replace(sft_adapter, note=note)
        return dg.MaterializeResult(
            value=unchanged,
            metadata={"note": note, **show.settings(job, "tuning")},
            check_results=[reward_means_quality(unchanged)],
        )
    shots = student_shots(job, seed_data.train)
    tuned_on, examples = _split(job, seed_data, synthetic_dataset, shots)
    if sft_adapter.learned_from != _name_of_split(job, tuned_on):
        raise TrainingError(
            "rlvr: sft_adapter was trained under other settings and may have learned what is now kept from it "
            "(tuning.rlvr_dataset_size, tuning.train_eval_split, the worked examples): materialize it again, with "
            "--select 'sft_adapter+'"
        )
    held_out = held_out_examples(job, tuned_on)
    work = store.artefacts.work_folder("rlvr_adapter", context.partition_key)
    before, journal = model_and_adapter(job, sft_adapter), store.journal_folder
    training = _train(context, store, lambda: prepare_rlvr(job, examples, held_out, before, journal, work, shots))
    curve = read_rows(training.output / CURVE_FILE, CurvePoint)
    summary = GrpoSummary.model_validate_json((training.output / SUMMARY_FILE).read_text(encoding="utf-8"))
    choice = choose(summary.before, summary.after, metric_title(job.task.primary_metric))
    context.log.info(f"{choice.ships} is delivered: {choice.reason}")
    tuned = replace(
        sft_adapter,
        weights=training.output,
        stage="rlvr",
        curve=curve,
        ships=choice.ships == "rlvr",
        note=choice.reason,
        warning=reward_hacking(curve, summary.held_out_rows),
    )
    return dg.MaterializeResult(
        value=tuned,
        metadata={
            "examples": len(examples),
            **_rewards(summary, curve, choice),
            "reward_hacking": tuned.warning or "no sign of it",
            "reward_curve": show.reward_curve(curve),
            "length_curve": show.length_curve(curve),
            **show.settings(job, "base", "tuning"),
        },
        check_results=[reward_means_quality(tuned)],
    )


def _split(
    job: Job, seeds: SeedData, synthetic: SyntheticDataset, shots: Sequence[Example]
) -> tuple[list[Example], list[Example]]:
    """What SFT and what RLVR trains on; what stands in every prompt as an example is no row to learn."""
    shown = {shot.id for shot in shots}
    found = [*seeds.train, *(row.as_example() for row in synthetic.accepted)]
    examples = [example for example in found if example.id not in shown]
    return split_for_rlvr(examples, job.config.tuning.rlvr_dataset_size, job.config.base.random_seed)


def _name_of_split(job: Job, examples: Sequence[Example]) -> str:
    """What tells apart which examples SFT learns from and which it holds back."""
    base, tuning = job.config.base, job.config.tuning
    return content_id([example.id for example in examples], tuning.train_eval_split, base.random_seed)


def _train(context: dg.AssetExecutionContext, store: Store, prepare: Callable[[], Training]) -> Training:
    """Train, or go on from where an interrupted training of the same left off, on this machine or on another."""
    training = prepare()
    asset, name = context.asset_key.to_user_string(), training.output.parent.name
    is_whole = partial(is_complete, of_processes=processes_for(training))
    with mirrored_folder(store.artefacts, asset, context.partition_key, name, is_whole) as folder:
        # Once more: a seed that was drawn, not set, may have come from the machine that began.
        training = prepare()
        if is_trained(training):
            context.log.info("The same rows, settings and weights were trained before: that result is taken")
        else:
            run_worker(context, training, folder)
            # They are for a run that is interrupted, and larger than the adapter.
            shutil.rmtree(training.checkpoints, ignore_errors=True)
    return training


def predict(
    context: dg.AssetExecutionContext, job: Job, model: Path, adapter: Path | None, work: Path, seeds: SeedData
) -> list[Written]:
    """What a student writes for each test row, asked in a process of its own or, where it was asked before, read."""
    rows, shots = job.evaluation_rows(seeds.test), student_shots(job, seeds.train)
    return answered(context, prepare_prediction(job, rows, model, adapter, work, shots))


def answered(context: dg.AssetExecutionContext, prediction: PredictJob) -> list[Written]:
    """What a model writes for rows, asked in a process of its own or, where it was asked before, read."""
    if not prediction.output.is_file():
        run_worker(context, prediction, prediction.output.parent)
    return read_rows(prediction.output, Written)


def delivered(sft: Adapter, rlvr: Adapter) -> Adapter:
    """Of the student after SFT and that after RLVR the one that is delivered."""
    return rlvr if rlvr.ships else sft


def model_and_adapter(job: Job, tuned: Adapter) -> tuple[Path, Path | None]:
    """The folders to load for a tuned student."""
    return (base_model(job, tuned), tuned.weights) if tuned.is_lora else (tuned.weights, None)


def base_model(job: Job, tuned: Adapter) -> Path:
    """The folder of the model that a student was trained from; where another machine trained it, fetched anew."""
    folder = Path(tuned.base_model)
    return folder if folder.is_dir() else student_weights(tuned.student, job.students).folder


def _losses(curve: Sequence[CurvePoint]) -> show.Metadata:
    losses = [point.loss for point in curve if point.loss is not None]
    held_out = [point.eval_loss for point in curve if point.eval_loss is not None]
    return {
        "final_training_loss": round(losses[-1], 4) if losses else 0.0,
        "lowest_held_out_loss": round(min(held_out), 4) if held_out else 0.0,
        "steps": max((point.step for point in curve), default=0),
    }


def _rewards(summary: GrpoSummary, curve: Sequence[CurvePoint], choice: Choice) -> show.Metadata:
    rewards = [point.reward for point in curve if point.reward is not None]
    return {
        "first_reward": rewards[0],
        "final_reward": rewards[-1],
        **({} if choice.before is None else {"held_out_before": choice.before}),
        **({} if choice.after is None else {"held_out_after": choice.after}),
        "held_out_rows": summary.held_out_rows,
        "delivered": choice.ships,
        "why": choice.reason,
        "judgements": summary.judgements,
        "good_judgements": summary.good_judgements,
        "failed_judgements": summary.failed_judgements,
        **({} if summary.agreement is None else {"agreement": round(summary.agreement, 4)}),
        "steps": summary.steps,
    }
