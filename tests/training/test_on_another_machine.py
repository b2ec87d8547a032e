"""A training whose machine dies goes on, on another one without a common disk."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from s3 import Bucket, bucket_served

from distil_dagster.data.objects import MissingObjectError
from distil_dagster.training.job import write_job

MACHINE = """
import logging, sys
from pathlib import Path
from distil_dagster.data import mirror
from distil_dagster.data.remote_store import RemoteArtefactStore
from distil_dagster.orchestration.s3 import s3_prefix
from distil_dagster.training.checkpoints import is_complete
from distil_dagster.training.job import read_job
from distil_dagster.training.launch import run_worker

logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
mirror._LOOK_EVERY = 0.2
url, work, job = sys.argv[1], Path(sys.argv[2]), read_job(Path(sys.argv[3]))
store = RemoteArtefactStore(work, work, prefix=s3_prefix(url))
with mirror.mirrored_folder(store, "sft_adapter", "letters", "job1", is_complete) as folder:
    run_worker(job.model_copy(update={"output": folder / "output", "checkpoints": folder / "checkpoints"}), folder)
"""


def machine(bucket: Bucket, work: Path, job: Path) -> subprocess.Popen:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "DISTIL_TRAINING_PROCESSES": "1", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-c", MACHINE, f"{bucket.url}/project", str(work), str(job)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def checkpoint_is_uploaded(bucket: Bucket) -> bool:
    place = bucket.prefix().below(".work", "sft_adapter", "letters", "job1")
    try:
        return b"trainer_state.json" in place.read("mirror.json")
    except MissingObjectError:
        return False


def test_a_training_goes_on_from_the_checkpoints_that_a_dead_machine_uploaded(sft_job, tmp_path):
    long = sft_job.model_copy(update={"tuning": sft_job.tuning.model_copy(update={"num_train_epochs": 400})})
    write_job(tmp_path / "long.json", long)
    with bucket_served() as bucket:
        first = machine(bucket, tmp_path / "first", tmp_path / "long.json")
        deadline = time.monotonic() + 240
        try:
            while not checkpoint_is_uploaded(bucket):
                assert time.monotonic() < deadline
                assert first.poll() is None
                time.sleep(0.2)
        finally:
            first.send_signal(signal.SIGKILL)
            first.communicate()
        second = machine(bucket, tmp_path / "second", tmp_path / "long.json")
        try:
            said = next(line for line in second.stdout if "going on from step" in line or "step 1/" in line)
        finally:
            second.send_signal(signal.SIGKILL)
            second.communicate()
    assert "sft: going on from step " in said
