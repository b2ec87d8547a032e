"""Reinforcement learning after SFT: TRL's GRPO trainer, rewarded by a judge.

GRPO samples a group of completions for each prompt. A completion's advantage is its reward less the mean of its group,
over the group's standard deviation (https://arxiv.org/abs/2402.03300): a group that is all good or all bad teaches
nothing. `tuning.learning_rate` and its schedule serve both trainings.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from distil_dagster.config.catalogue import steady_temperature
from distil_dagster.config.sections import Tuning
from distil_dagster.data.messages import Frozen
from distil_dagster.data.store import whole_folder
from distil_dagster.errors import TrainingError
from distil_dagster.evaluation.judging import Judge
from distil_dagster.progress import clock
from distil_dagster.tasks.base import Task
from distil_dagster.tasks.registry import task_for
from distil_dagster.training import curve
from distil_dagster.training.arguments import CHECKPOINTS, shared_arguments
from distil_dagster.training.checkpoints import own_checkpoints, train_on
from distil_dagster.training.formatting import ChatFormat, load_chat_format
from distil_dagster.training.job import GrpoJob
from distil_dagster.training.models import (
    copy_image_settings,
    has_gpu,
    hold_trained_in_32_bits,
    load_tuned,
    stored_dtype,
)
from distil_dagster.training.predict import stop_ids
from distil_dagster.training.ranks import processes
from distil_dagster.training.reporting import Report
from distil_dagster.training.rewards import JudgeReward
from distil_dagster.training.rows import RewardRow, read_rows, write_rows
from distil_dagster.training.sft import SUMMARY_FILE
from distil_dagster.training.shared_prefix import can_share

log = logging.getLogger("distil_dagster")


class GrpoSummary(Frozen):
    """What a training came to; judgements and `seconds` since step `resumed_at`.

    `agreement` is the share of verdicts that a check against the reference confirms, where there is such a check.
    `before` and `after` are the scores of the held-out rows before the first step and after the last one.
    """

    rows: int
    before: list[float | None]
    after: list[float | None]
    steps: int
    resumed_at: int
    trained_parameters: int
    judgements: int
    good_judgements: int
    failed_judgements: int
    agreement: float | None
    seconds: float

    @property
    def held_out_rows(self) -> int:
        """How many rows were measured."""
        return max(len(self.before), len(self.after))


def train(job: GrpoJob, report: Report) -> GrpoSummary:
    """Train with the judges that `job` names, asked through its routes and journal; see `reinforce`."""
    from distil_dagster.llm.client import open_client

    with open_client(job.config, job.journal) as client:

        def judge(model: str) -> Judge:
            return Judge(client, model, job.description, temperature=steady_temperature(model))

        rewarding, measuring = (
            job.tuning.rlvr_llm_as_a_judge_model_name,
            job.config.evaluation.llm_as_a_judge_model_name,
        )
        return reinforce(job, judge(rewarding), judge(measuring), report)


def reinforce(job: GrpoJob, rewarding: Judge, measuring: Judge, report: Report) -> GrpoSummary:
    """Train the student, from the last complete checkpoint of the same job if there is one, and write `job.output`.

    `rewarding` judges what is written in training; `measuring` what is written to held-out rows, where a judge decides.

    Raises:
        TrainingError: rows, student or machine do not fit, or more than half of the judgements failed.
        ProviderError, BudgetError: a judge cannot be asked any more; the checkpoints stay.
    """
    from distil_dagster.training.held_out import HeldOutRows, HeldOutWatch, scores_at

    chat, task = load_chat_format(job.model), _task(job)
    rows, held_out = read_rows(job.rows, RewardRow), read_rows(job.held_out, RewardRow)
    model = load_tuned(job.model, job.adapter, job.tuning)
    stops = stop_ids(model, chat)
    model.generation_config.eos_token_id = sorted(stops)
    reward = JudgeReward(rewarding, task, rows, _reader(chat, stops))
    checkpoints = own_checkpoints(job)
    trainer = _trainer(job, checkpoints, model, chat, rows, reward, report)
    if held_out:
        batch_size = job.tuning.rlvr_per_device_batch_size
        measured = HeldOutRows(held_out, chat, task, measuring, job.max_new_tokens, batch_size)
        trainer.add_callback(HeldOutWatch(measured, trainer.accelerator, report))
    started = time.monotonic()
    resumed_at = _train_on_signal(trainer, checkpoints, reward)
    summary = GrpoSummary(
        rows=len(rows),
        before=scores_at(trainer.state.log_history, 0),
        after=scores_at(trainer.state.log_history, trainer.state.global_step),
        steps=trainer.state.global_step,
        resumed_at=resumed_at,
        trained_parameters=sum(weight.numel() for weight in model.parameters() if weight.requires_grad),
        judgements=reward.asked,
        good_judgements=reward.good,
        failed_judgements=reward.failed,
        agreement=reward.agreement,
        seconds=round(time.monotonic() - started, 1),
    )
    if trainer.is_world_process_zero():
        _write(job, trainer, chat, summary)
    log.info("rlvr: done, %d steps in %s, %s", summary.steps, clock(summary.seconds), _verdicts(summary))
    return summary


def steps_in(tuning: Tuning, rows: int, processes: int) -> int:
    """How many updates training makes; prompts that do not fill one are left out of the epoch."""
    completions = tuning.rlvr_per_device_batch_size * processes * tuning.gradient_accumulation_steps
    return rows // (completions // tuning.rlvr_num_generations) * tuning.rlvr_num_train_epochs


def _task(job: GrpoJob) -> Task:
    return task_for(job.config.base.task, job.description, output_is_json=job.config.synthgen.output_is_json)


def _trainer(
    job: GrpoJob,
    checkpoints: Path,
    model: Any,
    chat: ChatFormat,
    rows: Sequence[RewardRow],
    reward: JudgeReward,
    report: Report,
) -> Any:
    from datasets import Dataset
    from transformers import PrinterCallback

    from distil_dagster.training.trainer_progress import TrainerProgress

    steps = steps_in(job.tuning, len(rows), processes())
    if not steps:
        raise TrainingError(
            f"{job.rows}: {len(rows)} rows are too few for one step of RLVR; raise tuning.rlvr_dataset_size, "
            "or lower tuning.rlvr_per_device_batch_size or tuning.gradient_accumulation_steps"
        )
    prompts = [_prompt(row, chat) for row in rows]
    trainer = _trainer_class(model, job.tuning)(
        model=model,
        reward_funcs=[reward],
        args=_arguments(job, checkpoints, steps),
        train_dataset=Dataset.from_dict({"prompt": prompts, "row_id": [row.id for row in rows]}),
        processing_class=chat.tokenizer,
        callbacks=[TrainerProgress("rlvr", report, None, steps // CHECKPOINTS)],
    )
    hold_trained_in_32_bits(trainer.model)
    trainer.remove_callback(PrinterCallback)
    return trainer


def _trainer_class(model: Any, tuning: Tuning) -> Any:
    from trl import GRPOTrainer

    from distil_dagster.training.prefix_grpo import PrefixGRPOTrainer

    # Gradient checkpointing computes layers anew, and knows nothing of keys and values that stood before them.
    if has_gpu() or tuning.memory_optimized_training or not can_share(model.config.model_type):
        return GRPOTrainer
    return PrefixGRPOTrainer


def _arguments(job: GrpoJob, checkpoints: Path, steps: int) -> Any:
    from trl import GRPOConfig

    tuning = job.tuning
    return GRPOConfig(
        **shared_arguments(tuning, job.seed, checkpoints, steps),
        per_device_train_batch_size=tuning.rlvr_per_device_batch_size,
        num_generations=tuning.rlvr_num_generations,
        num_train_epochs=tuning.rlvr_num_train_epochs,
        max_completion_length=job.max_new_tokens,
    )


def _prompt(row: RewardRow, chat: ChatFormat) -> str:
    """The prompt's text. The trainer's own reading of it must give the ids that evaluation asks with.

    Some templates write the token that begins a text, and their tokenizers write it again.
    """
    ids, text = chat.prompt_ids(row), chat.prompt_text(row)
    for candidate in (text, text.removeprefix(chat.tokenizer.bos_token or "")):
        if chat.tokenizer(candidate)["input_ids"] == ids:
            return candidate
    raise TrainingError(f"row {row.id}: the student's tokenizer adds tokens of its own to the prompt")


def _reader(chat: ChatFormat, stops: frozenset[int]) -> Callable[[Sequence[int]], str]:
    """Reads a completion as `predict` writes an answer: all its text, without the token that stops."""
    return lambda ids: chat.decode(ids[:-1] if ids and ids[-1] in stops else ids)


def _train_on_signal(trainer: Any, checkpoints: Path, reward: JudgeReward) -> int:
    try:
        began = train_on(trainer, checkpoints, "rlvr")
        reward.add_up_processes()
        reward.demand_signal()
    except TrainingError:
        # Who runs it again would go on behind the steps that taught nothing.
        shutil.rmtree(checkpoints, ignore_errors=True)
        raise
    return began


def _write(job: GrpoJob, trainer: Any, chat: ChatFormat, summary: GrpoSummary) -> None:
    model = trainer.accelerator.unwrap_model(trainer.model)
    if not job.tuning.use_lora:
        model = model.to(stored_dtype(job.model))
    with whole_folder(job.output) as folder:
        model.save_pretrained(folder)
        chat.tokenizer.save_pretrained(folder)
        if not job.tuning.use_lora:
            copy_image_settings(job.model, folder)
        write_rows(folder / curve.FILE_NAME, curve.curve_of(trainer.state.log_history))
        (folder / SUMMARY_FILE).write_text(summary.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _verdicts(summary: GrpoSummary) -> str:
    judged = summary.judgements - summary.failed_judgements
    return f"{summary.good_judgements} of {judged} completions judged good, {summary.failed_judgements} not judged"
