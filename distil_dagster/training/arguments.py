"""What SFT and RLVR tell their trainers alike."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from distil_dagster.config.sections import Tuning
from distil_dagster.training.models import has_gpu

# Besides the one after every epoch: a killed training loses at most this share of its steps.
CHECKPOINTS = 20
_LOGGED_STEPS = 100
_SCHEDULERS = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}


def shared_arguments(tuning: Tuning, seed: int, checkpoints: Path, steps: int) -> dict[str, Any]:
    """The trainer's arguments for optimiser, number format, checkpoints and log of a training of `steps` updates."""
    return {
        "output_dir": str(checkpoints),
        "learning_rate": tuning.learning_rate,
        "lr_scheduler_type": _SCHEDULERS[tuning.learning_rate_scheduler],
        "weight_decay": tuning.weight_decay,
        "warmup_steps": math.ceil(steps * tuning.warmup_ratio),
        "bf16": tuning.bf16,
        "gradient_accumulation_steps": tuning.gradient_accumulation_steps,
        "gradient_checkpointing": tuning.memory_optimized_training,
        "seed": seed,
        "data_seed": seed,
        "save_strategy": "epoch",
        "save_total_limit": 2,
        "logging_steps": math.ceil(steps / _LOGGED_STEPS),
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": not has_gpu(),
        "dataloader_pin_memory": has_gpu(),
    }
