"""The training program: does one job and tells how it goes.

python -m distil_dagster.training.worker JOB.json

Under several GPUs: torchrun --nproc-per-node=2 -m distil_dagster.training.worker JOB.json. Ends with 0 when the job's
output stands, with 1 when it does not; the reason is then on the error output, or in the run's log.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from distil_dagster.errors import DistilError, TrainingError
from distil_dagster.training.job import GrpoJob, Job, MergeJob, PredictJob, SftJob, read_job
from distil_dagster.training.reporting import Report, open_report


def main(arguments: Sequence[str]) -> int:
    """Do the job whose file is the only argument."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    _stay_offline_and_quiet()
    with open_report() as report:
        try:
            do(read_job(Path(arguments[0])), report)
        except DistilError as error:
            report.failed(str(error))
            return 1
    return 0


def do(job: Job, report: Report) -> None:
    """Do one job in this process.

    Raises:
        TrainingError: it could not be done; memory that ran out is among the reasons.
    """
    import torch

    try:
        _do(job, report)
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise TrainingError(memory_advice(job)) from error
    except RuntimeError as error:
        # The processor's allocator has no error class of its own.
        if "can't allocate memory" in str(error) or "not enough memory" in str(error):
            raise TrainingError(memory_advice(job)) from error
        raise


def memory_advice(job: Job) -> str:
    """What to change when a job ran out of memory, most effective first."""
    if isinstance(job, PredictJob):
        return f"out of memory: batch_size is {job.batch_size}; ask for fewer rows at a time"
    if isinstance(job, MergeJob):
        return f"out of memory: merging holds all of {job.model} at once; take a machine with more of it"
    tuning, steps = job.tuning, []
    name, batch, least = "per_device_train_batch_size", tuning.per_device_train_batch_size, 1
    if isinstance(job, GrpoJob):
        name, batch, least = (
            "rlvr_per_device_batch_size",
            tuning.rlvr_per_device_batch_size,
            tuning.rlvr_num_generations,
        )
    if batch > least:
        steps.append(f"halve tuning.{name} (now {batch}) and double gradient_accumulation_steps")
    if not tuning.memory_optimized_training:
        steps.append("set tuning.memory_optimized_training to true")
    if not tuning.use_lora:
        steps.append("set tuning.use_lora to true")
    elif not tuning.use_qlora:
        steps.append("set tuning.use_qlora to true (NVIDIA GPUs)")
    steps.append("take a smaller base.student_model_name")
    return "out of memory: " + "; ".join(steps)


def _do(job: Job, report: Report) -> None:
    match job:
        case SftJob():
            from distil_dagster.training.sft import train

            train(job, report)
        case GrpoJob():
            from distil_dagster.training.grpo import train as reinforce

            reinforce(job, report)
        case PredictJob():
            from distil_dagster.training.predict import predict

            predict(job)
        case MergeJob():
            from distil_dagster.training.merge import merge

            merge(job)


def _stay_offline_and_quiet() -> None:
    """Everything that a job needs is in its folders; set before the libraries read these variables."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    # Of the libraries among each other; nothing that a person who trains could heed.
    warnings.simplefilter("ignore", FutureWarning)
    # TRL shows a whole row where a judgement failed; our own line says how many did, and why.
    logging.getLogger("trl").setLevel(logging.ERROR)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
