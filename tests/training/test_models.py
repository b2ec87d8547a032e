import pytest

from distil_dagster.config.sections import Tuning
from distil_dagster.errors import TrainingError
from distil_dagster.training import models
from distil_dagster.training.models import check_machine, load_answering, load_base, load_trainable, stored_dtype


def dtypes(model):
    return {str(weight.dtype) for weight in model.parameters()}


@pytest.mark.parametrize(
    ("settings", "dtype"),
    [
        ({}, "torch.bfloat16"),
        ({"bf16": False}, "torch.float32"),
        ({"use_lora": False}, "torch.float32"),
        ({"use_lora": False, "use_qlora": True}, "torch.float32"),
    ],
)
def test_only_a_frozen_base_is_held_in_16_bits(student, settings, dtype):
    assert dtypes(load_trainable(student, Tuning(**settings))) == {dtype}


def test_on_a_processor_answers_are_computed_in_32_bits(student, tmp_path):
    import torch

    load_base(student, dtype=torch.bfloat16).save_pretrained(tmp_path)
    assert stored_dtype(tmp_path) == torch.bfloat16
    assert dtypes(load_answering(tmp_path, None)) == {"torch.float32"}


def test_qlora_on_another_system_than_linux_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(models.platform, "system", lambda: "Darwin")
    with pytest.raises(TrainingError, match=r"tuning\.use_qlora: needs Linux; set tuning\.use_qlora to false"):
        check_machine(Tuning(use_qlora=True, bf16=False))


def test_qlora_without_bitsandbytes_says_what_to_install(monkeypatch):
    monkeypatch.setattr(models.platform, "system", lambda: "Linux")
    monkeypatch.setattr("transformers.utils.is_bitsandbytes_available", lambda: False)
    with pytest.raises(TrainingError, match=r"tuning\.use_qlora: .* pip install 'bitsandbytes"):
        check_machine(Tuning(use_qlora=True, bf16=False))


def test_qlora_without_lora_asks_nothing_of_the_machine(monkeypatch):
    monkeypatch.setattr(models.platform, "system", lambda: "Darwin")
    monkeypatch.setattr("transformers.utils.is_bitsandbytes_available", lambda: False)
    check_machine(Tuning(use_qlora=True, use_lora=False))


def test_a_gpu_without_bfloat16_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(models, "has_gpu", lambda: True)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda **_: False)
    with pytest.raises(TrainingError, match=r"tuning\.bf16: .* set tuning\.bf16 to false"):
        check_machine(Tuning())


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(TrainingError, match="no model that can be read"):
        load_base(tmp_path)
