"""Models in memory: the student as it is loaded for training, and a tuned model as it answers."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path
from typing import Any

from distil_dagster.config.sections import Tuning
from distil_dagster.errors import TrainingError
from distil_dagster.training.weight_files import ADAPTER, check_adapter

_IMAGE_SETTINGS = ("preprocessor_config.json", "processor_config.json")


def has_gpu() -> bool:
    """Whether this process computes on an NVIDIA GPU."""
    import torch

    return bool(torch.cuda.is_available())


def stored_dtype(folder: Path) -> Any:
    """The number format that a model's folder holds its weights in."""
    import torch
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(folder).dtype or torch.float32


def load_base(folder: Path, **settings: Any) -> Any:
    """A model from its folder, on the processor.

    Raises:
        TrainingError: the folder holds no model that can be read, or not all of its weights.
    """
    from transformers import AutoModelForCausalLM

    try:
        model, found = AutoModelForCausalLM.from_pretrained(
            folder, attn_implementation="sdpa", output_loading_info=True, **settings
        )
    except (OSError, ValueError) as error:
        raise TrainingError(f"{folder}: no model that can be read: {error}") from error
    if found["missing_keys"]:
        # They would be drawn at random.
        raise TrainingError(f"{folder}: its weights lack {min(found['missing_keys'])}, which its config.json asks for")
    return model


def load_trainable(folder: Path, tuning: Tuning) -> Any:
    """The student as `tuning` wants it for training: 4 bits, 16 or 32.

    Weights that are trained themselves stay in 32 bits even in mixed precision, where small updates of 16-bit weights
    would be rounded away; a frozen base under LoRA loses nothing by 16. Of a base in 4 bits, embeddings, norms and the
    output layer stay in 16 or 32.

    Raises:
        TrainingError: this machine cannot train so; names the parameter.
    """
    import torch

    check_machine(tuning)
    dtype = torch.bfloat16 if tuning.use_lora and tuning.bf16 else torch.float32
    if not is_in_four_bits(tuning):
        return load_base(folder, dtype=dtype)
    local_device: int | str = int(os.environ.get("LOCAL_RANK", "0")) if has_gpu() else "cpu"
    return load_base(folder, dtype=dtype, quantization_config=_four_bits(dtype), device_map={"": local_device})


def is_in_four_bits(tuning: Tuning) -> bool:
    """Whether the base is loaded in 4 bits, which takes bitsandbytes: QLoRA is for an adapter only."""
    return tuning.use_lora and tuning.use_qlora


def _four_bits(dtype: Any) -> Any:
    """QLoRA's format (https://arxiv.org/abs/2305.14314): NF4, its scales quantised once more; computes in `dtype`."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def hold_trained_in_32_bits(model: Any) -> None:
    """Undo what TRL does to an adapter on a 4-bit base: in 16 bits, small updates would be rounded away.

    A training that goes on after a kill would also end otherwise, as adapters are read back in 32 bits.
    """
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()


def load_tuned(folder: Path, adapter: Path | None, tuning: Tuning) -> Any:
    """A tuned student as it is trained on: its adapter, or without one all its weights.

    Raises:
        TrainingError: as `load_trainable`; or the adapter is not one of this model.
    """
    model = load_trainable(folder, tuning)
    return model if adapter is None else _with_adapter(model, folder, adapter, is_trainable=True)


def check_machine(tuning: Tuning) -> None:
    """Find out before anything is loaded whether this machine can train as `tuning` says.

    Raises:
        TrainingError: it cannot; names the parameter.
    """
    import torch

    if tuning.bf16 and has_gpu() and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise TrainingError("tuning.bf16: this GPU cannot compute in bfloat16; set tuning.bf16 to false")
    if not is_in_four_bits(tuning):
        return
    from transformers.utils import is_bitsandbytes_available

    if platform.system() != "Linux":
        raise TrainingError("tuning.use_qlora: needs Linux; set tuning.use_qlora to false")
    if not is_bitsandbytes_available():
        raise TrainingError("tuning.use_qlora: needs the package bitsandbytes: pip install 'bitsandbytes>=0.50'")


def load_merged(folder: Path, adapter: Path | None) -> Any:
    """A model with its adapter worked into the weights, in the number format of the folder.

    What is evaluated and what is delivered both come from here, so they are the same weights to the last bit.

    Raises:
        TrainingError: one of the folders cannot be read, or they do not belong together.
    """
    model = load_base(folder, dtype=stored_dtype(folder))
    return model if adapter is None else _with_adapter(model, folder, adapter).merge_and_unload()


def _with_adapter(model: Any, folder: Path, adapter: Path, *, is_trainable: bool = False) -> Any:
    from peft import PeftModel

    check_adapter(adapter)
    try:
        adapted = PeftModel.from_pretrained(model, adapter, is_trainable=is_trainable)
    except (OSError, ValueError, RuntimeError) as error:
        raise TrainingError(f"{adapter}: not an adapter of {folder}: {error}") from error
    _demand_all_of(adapted, folder, adapter)
    return adapted


def _demand_all_of(adapted: Any, folder: Path, adapter: Path) -> None:
    """Weights of layers that the model does not have would be left out without a word."""
    from peft import get_peft_model_state_dict
    from safetensors import safe_open

    with safe_open(adapter / ADAPTER, "pt") as file:
        differing = set(file.keys()) ^ set(get_peft_model_state_dict(adapted))
    if differing:
        raise TrainingError(f"{adapter}: not an adapter of {folder}: they differ in {min(differing)}")


def copy_image_settings(model: Path, folder: Path) -> None:
    """Copy how images are given to a model that reads them; servers refuse it without, even for texts alone."""
    for file in filter(Path.is_file, (model / name for name in _IMAGE_SETTINGS)):
        shutil.copyfile(file, folder / file.name)


def load_answering(folder: Path, adapter: Path | None) -> Any:
    """A model that only answers: on the GPU as it is stored, else in 32 bits.

    On processors 16 bits are twice as fast, but the answer to a row then depends on the rows beside it in the batch; in
    32 bits it did not for any row that we compared.
    """
    model = load_merged(folder, adapter).eval()
    return model.to("cuda") if has_gpu() else model.float()
