"""What the libraries' errors mean for whoever started a job: memory or disk ran out, a file cannot be used."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from distil_dagster.errors import TrainingError
from distil_dagster.training.job import GrpoJob, Job, MergeJob, PredictJob, SftJob

# The libraries have no error classes of their own for these.
_MEMORY_TEXTS = (
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
    "Cannot allocate memory",
)
# The last one is torch's, when it finds less in the file than it wrote.
_DISK_TEXTS = ("No space left on device", "Disk quota exceeded", "File too large", "inline_container.cc")
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SHAPES_TEXT = "ignore_mismatched_sizes"


_LARGER = "take a smaller base.student_model_name, or a machine with more memory"


def explained(error: BaseException, job: Job) -> TrainingError | None:
    """The error as it concerns the user; none where nothing is known about it, which makes it ours to mend."""
    causes = list(_causes(error))
    if any(_is_memory(cause) for cause in causes):
        return TrainingError(memory_advice(job))
    if any(_is_disk(cause) for cause in causes):
        return TrainingError(disk_advice(job))
    if _SHAPES_TEXT in str(error):
        return TrainingError(f"{_model_of(job)}: its weights have not the shapes that its config.json says")
    if isinstance(error, OSError) and error.filename is not None:
        return TrainingError(f"{error.filename}: {error.strerror}")
    return None


def memory_advice(job: Job) -> str:
    """What to change when a job ran out of memory, most effective first."""
    if isinstance(job, PredictJob):
        return f"out of memory: {job.model} does not fit with one batch of prompts and answers; {_LARGER}"
    if isinstance(job, MergeJob):
        return f"out of memory: merging holds all of {job.model} at once; {_LARGER}"
    return "out of memory: " + "; ".join(_thriftier(job))


def disk_advice(job: Job) -> str:
    """Where room is short, how much is left there, and what to do."""
    output = job.output.parent
    folders = [output, job.checkpoints] if isinstance(job, SftJob | GrpoJob) else [output]
    free, folder = min((shutil.disk_usage(_existing(folder)).free, folder) for folder in folders)
    return (
        f"{folder}: writing failed for lack of room: {free:,} bytes are free there (or a quota or a limit on the size "
        f"of files is reached); make room, or let DISTIL_ARTEFACTS name a folder that has it, and run again"
        f"{what_is_kept(job)}"
    )


def _thriftier(job: SftJob | GrpoJob) -> Iterator[str]:
    tuning = job.tuning
    name, batch, least = "per_device_train_batch_size", tuning.per_device_train_batch_size, 1
    if isinstance(job, GrpoJob):
        name, batch, least = (
            "rlvr_per_device_batch_size",
            tuning.rlvr_per_device_batch_size,
            tuning.rlvr_num_generations,
        )
    if batch > least:
        yield f"halve tuning.{name} (now {batch}) and double gradient_accumulation_steps"
    if not tuning.memory_optimized_training:
        yield "set tuning.memory_optimized_training to true"
    if not tuning.use_lora:
        yield "set tuning.use_lora to true"
    elif not tuning.use_qlora:
        yield "set tuning.use_qlora to true (needs bitsandbytes)"
    yield "take a smaller base.student_model_name"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_memory(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or any(text in str(error) for text in _MEMORY_TEXTS)


def _is_disk(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in _DISK_ERRORS
    return any(text in str(error) for text in _DISK_TEXTS)


def _model_of(job: Job) -> Path:
    return job.student if isinstance(job, SftJob) else job.model


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())


def what_is_kept(job: Job) -> str:
    """What a job that was broken off has left to go on from, as the end of a sentence."""
    return "; what was trained up to the last checkpoint is kept" if isinstance(job, SftJob | GrpoJob) else ""
