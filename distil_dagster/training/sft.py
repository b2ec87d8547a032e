"""Supervised fine-tuning: TRL's trainer, with the parameters of `tuning` mapped onto it."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distil_dagster.config.sections import Tuning
from distil_dagster.data.messages import Frozen
from distil_dagster.data.store import whole_folder
from distil_dagster.errors import TrainingError
from distil_dagster.progress import clock
from distil_dagster.training import curve
from distil_dagster.training.arguments import CHECKPOINTS, shared_arguments
from distil_dagster.training.checkpoints import own_checkpoints, train_on
from distil_dagster.training.families import Family
from distil_dagster.training.formatting import ChatFormat, TrainingRow, load_chat_format
from distil_dagster.training.job import SftJob
from distil_dagster.training.mask_audit import MaskAudit, audit_masks
from distil_dagster.training.models import (
    copy_image_settings,
    has_gpu,
    hold_trained_in_32_bits,
    load_trainable,
    stored_dtype,
)
from distil_dagster.training.ranks import processes
from distil_dagster.training.reporting import Report
from distil_dagster.training.rows import ChatRow, read_rows, write_rows

log = logging.getLogger("distil_dagster")

AUDIT_FILE = "mask_audit.md"
SUMMARY_FILE = "summary.json"


class SftSummary(Frozen):
    """What a training came to. `seconds` since step `resumed_at`; `best_eval_loss` is that of the step kept."""

    train_rows: int
    eval_rows: int
    steps: int
    resumed_at: int
    trained_parameters: int
    trained_tokens: int
    best_step: int | None
    best_eval_loss: float | None
    seconds: float


def train(job: SftJob, report: Report) -> SftSummary:
    """Train the student, from the last complete checkpoint of the same job if there is one, and write `job.output`.

    Raises:
        TrainingError: rows, student or machine do not fit; names the row, the folder or the parameter.
    """
    chat = load_chat_format(job.student)
    train_rows, audit = _formatted(job.train_rows, chat)
    eval_rows, _ = _formatted(job.eval_rows, chat)
    log.info("sft: %s", audit)
    checkpoints = own_checkpoints(job)
    trainer = _trainer(job, checkpoints, chat, train_rows, eval_rows, report)
    started = time.monotonic()
    resumed_at = train_on(trainer, checkpoints, "sft")
    summary = SftSummary(
        train_rows=len(train_rows),
        eval_rows=len(eval_rows),
        steps=trainer.state.global_step,
        resumed_at=resumed_at,
        trained_parameters=sum(weight.numel() for weight in trainer.model.parameters() if weight.requires_grad),
        trained_tokens=audit.trained_tokens,
        best_step=trainer.state.best_global_step if eval_rows else None,
        best_eval_loss=trainer.state.best_metric,
        seconds=round(time.monotonic() - started, 1),
    )
    if trainer.is_world_process_zero():
        _write(job, trainer, chat, audit, summary)
    log.info("sft: done, %d steps in %s, %s", summary.steps, clock(summary.seconds), _kept(summary))
    return summary


def steps_in(tuning: Tuning, rows: int, processes: int) -> int:
    """How many updates training makes: batches are divided among processes and gathered into updates."""
    batches = math.ceil(rows / (tuning.per_device_train_batch_size * processes))
    return math.ceil(batches / tuning.gradient_accumulation_steps) * tuning.num_train_epochs


def _formatted(path: Path, chat: ChatFormat) -> tuple[list[TrainingRow], MaskAudit]:
    rows = read_rows(path, ChatRow)
    for row in rows:
        if not row.completion:
            raise TrainingError(f"{path}: row {row.id}: has no completion to train on")
    formatted = [chat.training_row(row) for row in rows]
    return formatted, audit_masks(rows, formatted, chat)


def _trainer(
    job: SftJob,
    checkpoints: Path,
    chat: ChatFormat,
    train_rows: Sequence[TrainingRow],
    eval_rows: Sequence[TrainingRow],
    report: Report,
) -> Any:
    from transformers import PrinterCallback

    from distil_dagster.training.like_lengths import LikeLengthsTrainer
    from distil_dagster.training.prefix_trainer import PrefixCollator, PrefixTrainer
    from distil_dagster.training.trainer_progress import TrainerProgress

    if not train_rows:
        raise TrainingError(f"{job.train_rows}: no rows to train on")
    steps = steps_in(job.tuning, len(train_rows), processes())
    model = load_trainable(job.student, job.tuning)
    settings: dict[str, Any] = {
        "model": model,
        "args": _arguments(job, checkpoints, steps, held_out=bool(eval_rows)),
        "train_dataset": _dataset(train_rows),
        "eval_dataset": _dataset(sorted(eval_rows, key=lambda row: len(row.input_ids))) if eval_rows else None,
        "processing_class": chat.tokenizer,
        "peft_config": _lora(job.tuning, chat.family),
        "callbacks": [
            TrainerProgress("sft", report, _tokens_a_step(train_rows, job.tuning, steps), steps // CHECKPOINTS)
        ],
    }
    if has_gpu():
        trainer = LikeLengthsTrainer(**settings)
    else:
        # TRL leaves out the logits of the prompt on GPUs only.
        share = not job.tuning.memory_optimized_training
        collator = PrefixCollator(chat.pad_id, model.config.model_type, share)
        trainer = PrefixTrainer(**settings, data_collator=collator)
    hold_trained_in_32_bits(trainer.model)
    trainer.remove_callback(PrinterCallback)
    return trainer


def _arguments(job: SftJob, checkpoints: Path, steps: int, *, held_out: bool) -> Any:
    from trl import SFTConfig

    tuning = job.tuning
    return SFTConfig(
        **shared_arguments(tuning, job.seed, checkpoints, steps),
        per_device_train_batch_size=tuning.per_device_train_batch_size,
        per_device_eval_batch_size=tuning.per_device_eval_batch_size,
        num_train_epochs=tuning.num_train_epochs,
        activation_offloading=tuning.memory_optimized_training and has_gpu(),
        max_length=None,
        eval_strategy="epoch" if held_out else "no",
        load_best_model_at_end=held_out,
        metric_for_best_model="eval_loss" if held_out else None,
    )


def _lora(tuning: Tuning, family: Family) -> Any:
    from peft import LoraConfig

    if not tuning.use_lora:
        return None
    targets = family.lora_targets
    return LoraConfig(
        r=tuning.lora_r,
        lora_alpha=tuning.lora_r * tuning.lora_alpha_multiplier,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM",
    )


def _dataset(rows: Sequence[TrainingRow]) -> Any:
    from datasets import Dataset

    return Dataset.from_dict({"input_ids": [row.input_ids for row in rows], "labels": [row.labels for row in rows]})


def _tokens_a_step(rows: Sequence[TrainingRow], tuning: Tuning, steps: int) -> float:
    return sum(len(row.input_ids) for row in rows) * tuning.num_train_epochs / steps


def _write(job: SftJob, trainer: Any, chat: ChatFormat, audit: MaskAudit, summary: SftSummary) -> None:
    model = trainer.accelerator.unwrap_model(trainer.model)
    if not job.tuning.use_lora:
        model = model.to(stored_dtype(job.student))
    with whole_folder(job.output) as folder:
        model.save_pretrained(folder)
        chat.tokenizer.save_pretrained(folder)
        if not job.tuning.use_lora:
            copy_image_settings(job.student, folder)
        write_rows(folder / curve.FILE_NAME, curve.curve_of(trainer.state.log_history))
        (folder / AUDIT_FILE).write_text(audit.table, encoding="utf-8")
        (folder / SUMMARY_FILE).write_text(summary.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _kept(summary: SftSummary) -> str:
    if summary.best_step is None:
        return "the last step kept"
    return f"step {summary.best_step} kept: the lowest held-out loss, {summary.best_eval_loss:.4f}"
