"""What a trainer tells while it runs: steady lines for people, values for machines, and checkpoints along the way."""

from __future__ import annotations

import logging
import time
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from distil_dagster.progress import clock
from distil_dagster.training.heartbeat import SILENCE_SECONDS
from distil_dagster.training.reporting import Report

log = logging.getLogger("distil_dagster")

_TOLD = ("epoch", "loss", "eval_loss", "reward", "agreement", "completion_length", "learning_rate", "grad_norm")
_COMPLETION_LENGTH = "completions/mean_length"


class TrainerProgress(TrainerCallback):
    """Reports what the trainer logs, with speed and time left, and saves every `save_steps` steps.

    Where steps are slow the trainer's log has long gaps: a line between tells how far it is. It measures no loss, so
    that a training's curve does not depend on the speed of the machine. `tokens_a_step` is the mean over all steps,
    prompt included; none where only the trainer knows, which then counts them itself.
    """

    def __init__(self, phase: str, report: Report, tokens_a_step: float | None, save_steps: int) -> None:
        self._phase = phase
        self._report = report
        self._tokens_a_step = tokens_a_step
        self._save_steps = max(1, save_steps)
        self._began = (0.0, 0)
        self._last = (0.0, 0.0)

    def on_train_begin(self, _args: TrainingArguments, state: TrainerState, _control: TrainerControl, **_: Any) -> None:
        """Start the clock; a resumed training starts at its checkpoint's step."""
        now = time.monotonic()
        self._began, self._last = (now, state.global_step), (now, self._tokens(state))
        log.info("%s: training, %d steps", self._phase, state.max_steps - state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Ask for a checkpoint where one is due, and break a long silence."""
        if state.global_step % self._save_steps == 0:
            control.should_save = True
        logs_now = control.should_log or state.global_step % args.logging_steps == 0
        silence = time.monotonic() - self._last[0]
        if state.is_world_process_zero and not logs_now and silence >= SILENCE_SECONDS:
            self._tell({"step": state.global_step, "tokens_per_second": self._speed(state)}, state)

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
        if "loss" in values:
            values["tokens_per_second"] = entry["tokens_per_second"] = self._speed(state)
        self._tell(values, state)

    def _tell(self, values: dict[str, Any], state: TrainerState) -> None:
        self._report.measured(values)
        log.info("%s", self._line(values, state))

    def _tokens(self, state: TrainerState) -> float:
        if self._tokens_a_step is None:
            return float(state.num_input_tokens_seen)
        return state.global_step * self._tokens_a_step

    def _speed(self, state: TrainerState) -> float:
        """Tokens a second since this was last asked."""
        (then, tokens_then), now, tokens = self._last, time.monotonic(), self._tokens(state)
        self._last = (now, tokens)
        return round((tokens - tokens_then) / max(now - then, 1e-9), 1)

    def _line(self, values: dict[str, Any], state: TrainerState) -> str:
        parts = [f"{self._phase}: step {state.global_step}/{state.max_steps}"]
        for key, name, form in (
            ("loss", "loss", ".4f"),
            ("eval_loss", "held-out loss", ".4f"),
            ("reward", "reward", ".3f"),
            ("agreement", "judge and check agree", ".2f"),
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
