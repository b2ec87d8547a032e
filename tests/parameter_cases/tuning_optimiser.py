"""What the parameters of `tuning` change that say how large each update is."""

import shutil
from math import ceil, cos, pi
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from small_runs import STUDENT, Runs
from small_trainings import Training

from parameter_cases.registry import Cases

cases = Cases()

RATE = 1e-2


def _trained(runs: Runs, **settings: object) -> Training:
    """A training of six updates."""
    training = runs("letters", "tuned", tuning={"per_device_train_batch_size": 2, **settings}).tuned
    assert training.summary.steps == 6
    return training


@cases("learning_rate")
def updates_are_as_large_as_the_rate(runs: Runs) -> None:
    moved = {}
    for rate in (RATE / 10, RATE):
        training = _trained(runs, learning_rate=rate, learning_rate_scheduler="constant")
        assert training.rates == pytest.approx([rate] * 6)
        # These matrices begin at zero, and an update of AdamW is about as large as the rate.
        moved[rate] = max(weight.abs().max().item() for name, weight in training.weights.items() if "lora_B" in name)
        assert rate < moved[rate] < 6 * 1.5 * rate
    assert moved[RATE] > 5 * moved[RATE / 10]


@cases("learning_rate_scheduler")
def the_rate_falls_in_a_line_or_a_cosine_or_stays(runs: Runs) -> None:
    shapes = {
        "linear": [1 - step / 6 for step in range(6)],
        "cosine": [(1 + cos(pi * step / 6)) / 2 for step in range(6)],
        "constant": [1.0] * 6,
    }
    trainings = {name: _trained(runs, learning_rate_scheduler=name) for name in shapes}
    for name, shape in shapes.items():
        assert trainings[name].rates == pytest.approx([RATE * share for share in shape])
    assert len({training.losses[-1] for training in trainings.values()}) == 3


@cases("warmup_ratio")
def the_rate_rises_from_zero_over_this_share_of_the_steps(runs: Runs) -> None:
    for share in (0.0, 0.3, 0.5):
        rises = ceil(share * 6)
        rates = _trained(runs, warmup_ratio=share, learning_rate_scheduler="constant").rates
        assert rates == pytest.approx([RATE * min(1.0, step / rises) if rises else RATE for step in range(6)])


@cases("weight_decay")
def all_weights_shrink_but_biases_and_norms(runs: Runs) -> None:
    student = _student_with_biases(runs)
    before, without, decayed = (
        load_file(student / "model.safetensors"),
        *(_after_one_update(runs, student, weight_decay=decay) for decay in (0.0, 0.5)),
    )
    assert {name.rpartition(".")[2] for name in before} == {"weight", "bias"}
    for name, weight in before.items():
        is_left_out = name.endswith("bias") or "norm" in name
        shrunk = (without[name] - decayed[name]) / RATE
        assert weight.abs().max() > 0.1
        assert (shrunk - (0.0 if is_left_out else 0.5) * weight).abs().max() < 1e-3, name


def _after_one_update(runs: Runs, student: Path, **settings: object) -> dict[str, Any]:
    """All weights after one update of them all."""
    whole = {"use_lora": False, "per_device_train_batch_size": 16, **settings}
    training = runs("letters", "tuned", tuning=whole, data={"students": {STUDENT: str(student)}}).tuned
    assert training.summary.steps == 1
    return training.weights


def _student_with_biases(runs: Runs) -> Path:
    """The student with biases in its linear layers, none of them zero."""
    import torch
    from transformers import AutoModelForCausalLM

    folder = shutil.copytree(runs.student, runs.new_folder("student") / "with-biases")
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(runs.student, attention_bias=True, mlp_bias=True)
    for name, weight in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(weight)
    model.save_pretrained(folder)
    return folder
