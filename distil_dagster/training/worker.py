"""The training program: does one job and tells how it goes.

python -m distil_dagster.training.worker JOB.json

Training over several GPUs: torchrun --standalone --nproc-per-node=2 -m distil_dagster.training.worker JOB.json
(`accelerate launch --multi_gpu --num_processes=2 -m …` is the same). Without a launcher it takes the first GPU, as
predicting and merging always do. Ends with 0 when the job's output stands, with 1 when it does not; the reason is then
on the error output, or in the run's log. Interrupted, it leaves its checkpoints; started again, it goes on from there.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path

from distil_dagster.errors import DistilError, TrainingError
from distil_dagster.training.failures import explained
from distil_dagster.training.heartbeat import signs_of_life
from distil_dagster.training.job import GrpoJob, Job, MergeJob, PredictJob, SftJob, read_job
from distil_dagster.training.models import is_in_four_bits
from distil_dagster.training.ranks import processes
from distil_dagster.training.reporting import Report, open_report
from distil_dagster.training.weight_files import check_adapter, check_model

# Set by whoever starts the program and keeps its standard input open for as long as it lives.
TIED_VARIABLE = "DISTIL_WORKER_TIED"
_INTERRUPTED = 130

log = logging.getLogger("distil_dagster")


def main(arguments: Sequence[str]) -> int:
    """Do the job whose file is the only argument."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    # Whoever started this may have it ignored, which passes on; then nothing but a kill would end a training.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _stay_offline_and_quiet()
    _take_one_gpu()
    if TIED_VARIABLE in os.environ:
        threading.Thread(target=_end_with_starter, name="end with starter", daemon=True).start()
    with open_report() as report, signs_of_life():
        try:
            job = read_job(Path(arguments[0]))
            _import_only_what_is_needed(job)
            do(job, report)
        except DistilError as error:
            report.failed(str(error))
            return 1
        except KeyboardInterrupt:
            report.failed("interrupted; checkpoints are kept, and the same job, started again, goes on from there")
            return _INTERRUPTED
    return 0


def do(job: Job, report: Report) -> None:
    """Do one job in this process.

    Raises:
        TrainingError: it could not be done; memory or disk that ran out and weights that cannot be read are among the
            reasons.
    """
    try:
        _check_weights(job)
        _do(job, report)
    except DistilError:
        raise
    except Exception as error:
        reason = explained(error, job)
        if reason is None:
            raise
        raise reason from error


def _check_weights(job: Job) -> None:
    check_model(job.student if isinstance(job, SftJob) else job.model)
    if not isinstance(job, SftJob) and job.adapter is not None:
        check_adapter(job.adapter)


def _do(job: Job, report: Report) -> None:
    match job:
        case SftJob():
            log.info("sft: loading %s", job.student)
            from distil_dagster.training.sft import train

            train(job, report)
        case GrpoJob():
            log.info("rlvr: loading %s", _loaded(job))
            from distil_dagster.training.grpo import train as reinforce

            reinforce(job, report)
        case PredictJob():
            log.info("predict: loading %s", _loaded(job))
            from distil_dagster.training.predict import predict

            _refuse_company(job)
            predict(job)
        case MergeJob():
            log.info("merge: loading %s", _loaded(job))
            from distil_dagster.training.merge import merge

            _refuse_company(job)
            merge(job)


def _loaded(job: GrpoJob | PredictJob | MergeJob) -> str:
    return f"{job.model} with {job.adapter}" if job.adapter else str(job.model)


def _refuse_company(job: PredictJob | MergeJob) -> None:
    """Several processes would all do the whole job and write over each other.

    Raises:
        TrainingError: there are several.
    """
    if processes() > 1:
        raise TrainingError(f"{job.kind}: is the work of one process; start it without torchrun or accelerate launch")


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
    # It tells of a faster kernel that it did not find.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def _import_only_what_is_needed(job: Job) -> None:
    """Without QLoRA, keep peft from importing bitsandbytes, as it does where that is installed: it takes a second."""
    if not (isinstance(job, SftJob | GrpoJob) and is_in_four_bits(job.tuning)):
        sys.modules.setdefault("bitsandbytes", None)  # type: ignore[arg-type]


def _take_one_gpu() -> None:
    """Without a launcher there is one process; shown several GPUs, the trainer would split each batch among threads."""
    if "WORLD_SIZE" not in os.environ:
        os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0]


def _end_with_starter() -> None:
    """End this process when the one that started it is gone, however it went.

    An orphan would keep the GPU, and write into the checkpoints that the next run goes on from.
    """
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
