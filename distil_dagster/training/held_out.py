"""Reinforcement learning, watched from outside: the primary metric on rows that no training sees, as it goes on.

A reward can be raised by pleasing the judge and not the user. On held-out rows, answered greedily and scored as the
evaluation scores, that shows.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from distil_dagster.evaluation.judging import PHASE as JUDGING
from distil_dagster.evaluation.judging import Judge, Judged
from distil_dagster.evaluation.metrics import metric_title
from distil_dagster.evaluation.scoring import reference_check
from distil_dagster.tasks.base import Task
from distil_dagster.training.formatting import ChatFormat
from distil_dagster.training.predict import answer_all, read_answer
from distil_dagster.training.reporting import Report
from distil_dagster.training.rewards import case_of
from distil_dagster.training.rows import RewardRow

log = logging.getLogger("distil_dagster")

MEASURED = "held_out"
SCORES = "held_out_scores"
_TIMES = 4


class HeldOutRows:
    """Rows to measure a student on, answered `batch_size` at a time.

    `judge` is that of the evaluation, asked only where it decides.
    """

    def __init__(
        self,
        rows: Sequence[RewardRow],
        chat: ChatFormat,
        task: Task,
        judge: Judge,
        max_new_tokens: int,
        batch_size: int,
    ) -> None:
        self.rows = tuple(rows)
        self._chat = chat
        self._task = task
        self._judge = judge
        self._max_new_tokens = max_new_tokens
        self._batch_size = batch_size

    @property
    def metric(self) -> str:
        """The primary metric, as people write it."""
        return metric_title(self._task.primary_metric)

    def scores(self, model: Any, first: int = 0, step: int = 1) -> list[float | None]:
        """The score of every `step`th row from the `first` on; None where the judge's verdict cannot be had."""
        rows = self.rows[first::step]
        if not rows:
            return []
        answers = [self._task.parse_prediction(text) for text in self._written(model, rows)]
        check = reference_check(self._task)
        if check is not None:
            return [check(row.reference, answer) for row, answer in zip(rows, answers, strict=True)]
        judgements = self._judge.judge(list(map(case_of, rows, answers)), JUDGING)
        return [judgement.score if isinstance(judgement, Judged) else None for judgement in judgements]

    def _written(self, model: Any, rows: Sequence[RewardRow]) -> list[str]:
        prompts = [self._chat.prompt_ids(row) for row in rows]
        training = model.training
        model.eval()
        answers, stops = answer_all(model, self._chat, prompts, self._max_new_tokens, self._batch_size)
        model.train(training)
        return [read_answer(row.id, ids, self._chat, stops).text for row, ids in zip(rows, answers, strict=True)]


def scores_at(log_history: Iterable[Mapping[str, Any]], step: int) -> list[float | None]:
    """The score of each held-out row after a step, as a trainer's log has it; none where nothing is known."""
    found: list[float | None] = next(
        (entry[SCORES] for entry in log_history if SCORES in entry and entry["step"] == step), []
    )
    return found


class HeldOutWatch(TrainerCallback):
    """Measures before the first step, after each quarter of the steps, and after the last one."""

    def __init__(self, held_out: HeldOutRows, accelerator: Any, report: Report) -> None:
        self._held_out = held_out
        self._accelerator = accelerator
        self._report = report

    def on_train_begin(
        self, _args: TrainingArguments, state: TrainerState, _control: TrainerControl, *, model: Any, **_: Any
    ) -> None:
        """Measure the student of SFT; a training that goes on from a checkpoint has that in its log."""
        if state.global_step == 0:
            self._measure(model, state)

    def on_step_end(
        self, _args: TrainingArguments, state: TrainerState, _control: TrainerControl, *, model: Any, **_: Any
    ) -> None:
        """Measure where it is due, before the checkpoint of this step is written."""
        if state.global_step % math.ceil(state.max_steps / _TIMES) == 0 or state.global_step == state.max_steps:
            self._measure(model, state)

    def _measure(self, model: Any, state: TrainerState) -> None:
        from accelerate.utils import gather_object

        accelerator = self._accelerator
        own = self._held_out.scores(
            accelerator.unwrap_model(model), accelerator.process_index, accelerator.num_processes
        )
        scores = gather_object(own)
        known = [score for score in scores if score is not None]
        if not known:
            return
        mean = sum(known) / len(known)
        entry = {"step": state.global_step, "epoch": state.epoch or 0.0, MEASURED: mean, SCORES: scores}
        state.log_history.append(entry)
        if state.is_world_process_zero:
            self._report.measured({"step": state.global_step, MEASURED: mean})
            text = "rlvr: step %d/%d, held-out %s %.3f (%d rows)"
            log.info(text, state.global_step, state.max_steps, self._held_out.metric, mean, len(known))
