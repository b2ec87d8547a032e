"""What a trainer tells while it runs: steady lines for people, values for machines, and checkpoints along the way."""

from __future__ import annotations

import logging
import time
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from distil_dagster.progress import clock
from distil_dagster.training.reporting import Report

log = logging.getLogger("distil_dagster")

_TOLD = ("epoch", "loss", "eval_loss", "reward", "completion_length", "learning_rate", "grad_norm")
_COMPLETION_LENGTH = "completions/mean_length"


class TrainerProgress(TrainerCallback):
    """Reports what the trainer logs, with speed and time left, and saves every `save_steps` steps.

    `tokens_a_step` is the mean over all steps, prompt included; none where that is not known before training.
    """

    def __init__(self, phase: str, report: Report, tokens_a_step: float | None, save_steps: int) -> None:
        self._phase = phase
        self._report = report
        self._tokens_a_step = tokens_a_step
        self._save_steps = max(1, save_steps)
        self._began = (0.0, 0)
        self._last = (0.0, 0)

    def on_train_begin(self, _args: TrainingArguments, state: TrainerState, _control: TrainerControl, **_: Any) -> None:
        """Start the clock; a resumed training starts at its checkpoint's step."""
        self._began = self._last = (time.monotonic(), state.global_step)

    def on_step_end(self, _args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Ask for a checkpoint where one is due."""
        if state.global_step % self._save_steps == 0:
            control.should_save = True

    def on_log(
        self,
        _args: TrainingArguments,
        state: TrainerState,
        _control: TrainerControl,
        **_: Any,
    ) -> None:
        """Report the step, its losses, the speed since the last report and the time left."""
        entry = state.log_history[-1]
        if _COMPLETION_LENGTH in entry:
            entry["completion_length"] = entry[_COMPLETION_LENGTH]
        values = {key: entry[key] for key in _TOLD if entry.get(key) is not None}
        if not state.is_world_process_zero or not values.keys() & {"loss", "eval_loss"}:
            return
        values["step"] = state.global_step
        if "loss" in values and self._tokens_a_step is not None:
            values["tokens_per_second"] = self._speed(state.global_step, self._tokens_a_step)
            entry["tokens_per_second"] = values["tokens_per_second"]
        self._report.measured(values)
        log.info("%s", self._line(values, state))

    def _speed(self, step: int, tokens_a_step: float) -> float:
        (then, step_then), now = self._last, time.monotonic()
        self._last = (now, step)
        return round((step - step_then) * tokens_a_step / max(now - then, 1e-9), 1)

    def _line(self, values: dict[str, Any], state: TrainerState) -> str:
        parts = [f"{self._phase}: step {state.global_step}/{state.max_steps}"]
        for key, name, form in (
            ("loss", "loss", ".4f"),
            ("eval_loss", "held-out loss", ".4f"),
            ("reward", "reward", ".3f"),
            ("completion_length", "tokens a completion", ".1f"),
            ("learning_rate", "learning rate", ".2e"),
            ("tokens_per_second", "tokens/s", ".0f"),
        ):
            if key in values:
                parts.append(f"{name} {values[key]:{form}}")
        began, first = self._began
        done = state.global_step - first
        if done:
            left = (state.max_steps - state.global_step) * (time.monotonic() - began) / done
            parts.append(f"{clock(left)} left")
        return ", ".join(parts)
