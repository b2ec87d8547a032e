"""What the parameters of `tuning` change that say which weights are trained, and in which formats they are held."""

import pytest
from small_runs import Runs
from small_trainings import Training

from distil_dagster.training.models import load_base, load_merged
from parameter_cases.registry import Cases

cases = Cases()


def _trained(runs: Runs, **settings: object) -> Training:
    return runs("letters", "tuned", tuning=settings).tuned


def _nothing_changes_without_lora(runs: Runs, **settings: object) -> None:
    """Demand that all weights are trained as if these settings were not there."""
    plain, other = _trained(runs, use_lora=False), _trained(runs, use_lora=False, **settings)
    assert other.watched.layer_formats == {"torch.float32"}
    assert all((other.weights[name] == weight).all() for name, weight in plain.weights.items())


@cases("bf16")
def it_computes_in_sixteen_bits_or_in_thirty_two(runs: Runs) -> None:
    trainings = {bf16: _trained(runs, bf16=bf16) for bf16 in (True, False)}
    for bf16, name in ((True, "torch.bfloat16"), (False, "torch.float32")):
        watched = trainings[bf16].watched
        assert watched.layer_formats == watched.computed_in == {name}
        assert watched.trained_formats == {"torch.float32"}
    assert trainings[True].losses != trainings[False].losses
    assert trainings[True].losses == pytest.approx(trainings[False].losses, rel=0.05)


@cases("use_lora")
def an_adapter_is_trained_or_all_weights(runs: Runs) -> None:
    adapter, whole = (_trained(runs, use_lora=use_lora) for use_lora in (True, False))
    stored = load_base(runs.student).state_dict()
    assert "adapter_config.json" in adapter.files
    assert "model.safetensors" not in adapter.files
    assert all("lora_" in name for name in adapter.weights)
    assert "adapter_config.json" not in whole.files
    assert whole.weights.keys() == stored.keys()
    assert all((whole.weights[name] != stored[name]).any() for name in stored)
    everything = sum(weight.numel() for weight in stored.values())
    assert adapter.summary.trained_parameters < everything / 5 < everything == whole.summary.trained_parameters


@cases("lora_r")
def the_matrices_of_the_adapter_have_this_rank(runs: Runs) -> None:
    trainings = {rank: _trained(runs, lora_r=rank) for rank in (2, 6)}
    for rank, training in trainings.items():
        assert training.adapter_settings["r"] == rank
        ranks = {weight.shape["lora_B" in name] for name, weight in training.weights.items()}
        assert ranks == {rank}
    assert trainings[6].summary.trained_parameters == 3 * trainings[2].summary.trained_parameters
    _nothing_changes_without_lora(runs, lora_r=2)


@cases("lora_alpha_multiplier")
def the_adapter_counts_for_so_much(runs: Runs) -> None:
    before = load_base(runs.student).state_dict()
    changes = {}
    for multiplier in (1, 4):
        # One update of AdamW is the same whatever the gradient's size: only the scale of the adapter is left.
        training = _trained(runs, lora_alpha_multiplier=multiplier, lora_r=6, per_device_train_batch_size=16)
        assert (training.adapter_settings["r"], training.adapter_settings["lora_alpha"]) == (6, 6 * multiplier)
        merged = load_merged(runs.student, training.job.output).state_dict()
        changes[multiplier] = sum((merged[name] - weight).norm().item() for name, weight in before.items())
    assert changes[4] == pytest.approx(4 * changes[1], rel=0.02)
    _nothing_changes_without_lora(runs, lora_alpha_multiplier=4)


@cases("use_qlora")
def the_base_under_the_adapter_is_held_in_four_bits(runs: Runs) -> None:
    pytest.importorskip("bitsandbytes", reason="QLoRA needs bitsandbytes, on Linux")
    in_4, in_16 = (_trained(runs, use_qlora=use_qlora, bf16=True) for use_qlora in (True, False))
    assert in_4.watched.layer_formats == {"torch.uint8"}
    assert in_4.watched.trained_formats == {"torch.float32"}
    assert in_4.watched.layer_bytes < in_16.watched.layer_bytes / 3
    assert in_4.losses != in_16.losses
    assert in_4.losses == pytest.approx(in_16.losses, rel=0.2)
    assert {name: weight.shape for name, weight in in_4.weights.items()} == {
        name: weight.shape for name, weight in in_16.weights.items()
    }
    load_merged(runs.student, in_4.job.output)
    _nothing_changes_without_lora(runs, use_qlora=True)
