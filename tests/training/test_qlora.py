import json
import math

import pytest
from safetensors.torch import load_file

from distil_dagster.training.curve import FILE_NAME, CurvePoint
from distil_dagster.training.job import PredictJob
from distil_dagster.training.models import load_merged, load_trainable, load_tuned
from distil_dagster.training.predict import predict
from distil_dagster.training.rows import read_rows
from distil_dagster.training.sft import train

bitsandbytes = pytest.importorskip("bitsandbytes", reason="QLoRA needs bitsandbytes, on Linux")


@pytest.fixture
def qlora(tuning):
    return tuning.model_copy(update={"use_qlora": True})


@pytest.fixture
def qlora_job(sft_job, qlora):
    return sft_job.model_copy(update={"tuning": qlora})


@pytest.fixture
def wide_student(student, tmp_path):
    """The student with layers so wide that their weights are most of its memory, as they are in real ones."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(student, hidden_size=768, intermediate_size=2048, dtype=torch.bfloat16)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "wide")
    return tmp_path / "wide"


def projections(model):
    """The matrices of attention and feed-forward, by name."""
    return {name: module for name, module in model.named_modules() if name.endswith("_proj")}


def curve(job):
    return [(point.loss, point.eval_loss) for point in read_rows(job.output / FILE_NAME, CurvePoint)]


def dtypes(weights):
    return {str(weight.dtype) for weight in weights}


def stored_bytes(model) -> int:
    """The size of all weights, with the scales and tables that 4-bit ones are read by."""
    return sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())


@pytest.mark.parametrize(("bf16", "others"), [(True, "torch.bfloat16"), (False, "torch.float32")])
def test_the_layers_are_held_in_4_bits_and_all_else_in_the_format_that_is_trained_in(student, qlora, bf16, others):
    model = load_trainable(student, qlora.model_copy(update={"bf16": bf16}))
    layers = projections(model)
    assert len(layers) == 2 * 7
    for layer in layers.values():
        assert isinstance(layer, bitsandbytes.nn.Linear4bit)
        assert str(layer.weight.dtype) == "torch.uint8"
        assert (layer.weight.quant_state.quant_type, layer.weight.quant_state.nested) == ("nf4", True)
        assert str(layer.compute_dtype) == others
    frozen = {id(layer.weight) for layer in layers.values()}
    assert dtypes(weight for weight in model.parameters() if id(weight) not in frozen) == {others}


def test_the_base_takes_less_than_a_third_of_the_memory(wide_student, qlora):
    in_4_bits, in_16 = (
        load_trainable(wide_student, qlora.model_copy(update={"use_qlora": use, "bf16": True})) for use in (True, False)
    )
    assert stored_bytes(in_4_bits) < stored_bytes(in_16) / 3


def test_a_4_bit_matrix_is_the_stored_one_but_for_a_tenth(student, qlora):
    stored = load_file(student / "model.safetensors")
    for name, layer in projections(load_trainable(student, qlora)).items():
        whole = stored[f"{name}.weight"]
        read = bitsandbytes.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state)
        # Sixteen values placed for a normal distribution, scaled for 64 weights at a time: about 0.09 of their size.
        assert 0.05 < (read - whole).norm() / whole.norm() < 0.12


def test_an_adapter_in_higher_precision_is_all_that_is_trained_and_merges_into_the_unquantised_weights(
    qlora_job, student, recorder
):
    summary = train(qlora_job, recorder)
    adapter = load_file(qlora_job.output / "adapter_model.safetensors")
    assert dtypes(adapter.values()) == {"torch.float32"}
    assert summary.trained_parameters == sum(weight.numel() for weight in adapter.values())
    name = "model.layers.0.mlp.down_proj"
    before = load_file(student / "model.safetensors")[f"{name}.weight"]
    a, b = (adapter[f"base_model.model.{name}.lora_{which}.weight"].float() for which in "AB")
    scale = json.loads((qlora_job.output / "adapter_config.json").read_text())["lora_alpha"] / a.shape[0]
    merged = load_merged(student, qlora_job.output).get_parameter(f"{name}.weight")
    assert merged.dtype == before.dtype
    assert (merged - (before + scale * b @ a)).abs().max() < 1e-5
    assert (merged - before).abs().max() > 1e-3


def test_the_loss_falls_and_the_adapter_answers_on_the_base_that_was_never_quantised(
    qlora_job, qlora, student, recorder, tmp_path, rows
):
    job = qlora_job.model_copy(update={"tuning": qlora.model_copy(update={"num_train_epochs": 6})})
    train(job, recorder)
    losses = [loss for loss, _ in curve(job) if loss is not None]
    assert losses[-1] < 0.5 * losses[0]
    asked = {"rows": job.eval_rows, "output": tmp_path / "written.jsonl", "max_new_tokens": 6}
    answers = [row.text for row in predict(PredictJob(model=student, adapter=job.output, **asked))]
    assert answers == [row.completion[0]["content"] for row in rows[18:]]


def test_updates_as_small_as_the_default_learning_rate_are_not_rounded_away(qlora_job, qlora, recorder):
    small = {"learning_rate": 5e-5, "num_train_epochs": 1, "learning_rate_scheduler": "constant", "warmup_ratio": 0}
    longer = {**small, "num_train_epochs": 2}
    adapters = []
    for name, settings in (("short", small), ("long", longer)):
        tuning = qlora.model_copy(update=settings)
        job = qlora_job.model_copy(update={"tuning": tuning, "output": qlora_job.output.parent / name})
        train(job, recorder)
        adapters.append(load_file(job.output / "adapter_model.safetensors"))
    first, second = adapters
    moved = [(first[name] != second[name]).float().mean() for name in first if "lora_A" in name]
    assert min(moved) > 0.9


class BreaksOff:
    """A report under which training ends as if by a kill."""

    def measured(self, values) -> None:
        if values["step"] >= 4:
            raise KeyboardInterrupt


def test_a_training_that_broke_off_goes_on_and_ends_as_if_it_had_not(qlora_job, recorder, tmp_path):
    whole = qlora_job.model_copy(update={"output": tmp_path / "whole", "checkpoints": tmp_path / "other-checkpoints"})
    train(whole, recorder)
    with pytest.raises(KeyboardInterrupt):
        train(qlora_job, BreaksOff())
    assert train(qlora_job, recorder).resumed_at >= 3
    assert curve(qlora_job) == curve(whole)


def test_reinforcement_learning_goes_on_with_the_adapter_on_a_4_bit_base(student, tuned, qlora):
    import torch

    model = load_tuned(student, tuned, qlora)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    assert dtypes(trained) == {"torch.float32"}
    assert dtypes(layer.base_layer.weight for layer in projections(model).values()) == {"torch.uint8"}
    ids = torch.arange(12).reshape(1, 12)
    loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    assert math.isfinite(loss.item())
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in trained)
