"""Weights on disk, looked at before anything loads them: a file cut short costs a second to find, not a training.

A safetensors file is eight bytes with the length of its header, the header (JSON: where each tensor lies), and the
tensors (https://github.com/huggingface/safetensors#format): header and size alone tell whether it is whole.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from distil_dagster.errors import TrainingError

_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
ADAPTER, ADAPTER_SETTINGS = "adapter_model.safetensors", "adapter_config.json"
_LENGTH_BYTES = 8
_LFS_POINTER = b"version https://git-lfs"


def check_model(folder: Path) -> None:
    """Find out whether a folder holds a whole model with its tokenizer.

    Raises:
        TrainingError: a file is missing, cut short, something else, or may not be read; names it.
    """
    _read_json(folder / "config.json")
    _read_json(folder / "tokenizer_config.json")
    for path in weight_files(folder):
        check_safetensors(path)


def check_adapter(folder: Path) -> None:
    """Find out whether a folder holds a whole adapter.

    Raises:
        TrainingError: as `check_model`.
    """
    _read_json(folder / ADAPTER_SETTINGS)
    check_safetensors(folder / ADAPTER)


def weight_files(folder: Path) -> list[Path]:
    """The files with a model's weights: one, or those that an index lists.

    Raises:
        TrainingError: the index cannot be read. Or there are no weights as safetensors: pickles are not loaded.
    """
    if (folder / _INDEX).is_file():
        index = _read_json(folder / _INDEX)
        return [folder / name for name in sorted(set(index.get("weight_map", {}).values()))]
    if not (folder / _WEIGHTS).is_file() and list(folder.glob("*.bin")):
        raise TrainingError(f"{folder}: its weights are pickles (*.bin), which can run code; save them as safetensors")
    return [folder / _WEIGHTS]


def check_safetensors(path: Path) -> None:
    """Find out whether a safetensors file is whole.

    Raises:
        TrainingError: it is not; says how much of it is there.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            beginning = file.read(_LENGTH_BYTES)
            length = int.from_bytes(beginning, "little")
            header = file.read(length) if _LENGTH_BYTES + length <= size else b""
    except OSError as error:
        raise TrainingError(f"{path}: cannot be read: {error.strerror}") from None
    if beginning == _LFS_POINTER[:_LENGTH_BYTES]:
        raise TrainingError(f"{path}: is a pointer of Git LFS, not the weights; fetch them with `git lfs pull`")
    whole = _LENGTH_BYTES + length + _tensor_bytes(path, header)
    if size != whole:
        raise TrainingError(f"{path}: is not whole: {size} of {whole} bytes; copy or download it again")


def _tensor_bytes(path: Path, header: bytes) -> int:
    """Where the last tensor ends, counted from the first one."""
    try:
        tensors: dict[str, Any] = json.loads(header)
        return max((tensor["data_offsets"][1] for name, tensor in tensors.items() if name != "__metadata__"), default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        raise TrainingError(f"{path}: no safetensors file, or one that is cut short within its header") from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TrainingError(f"{path.parent}: has no {path.name}") from None
    except OSError as error:
        raise TrainingError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise TrainingError(f"{path}: no JSON: {error}") from None
    if not isinstance(values, dict):
        raise TrainingError(f"{path}: holds no JSON object")
    return values
