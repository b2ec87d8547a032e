"""The training program as an asset starts it, under Dagster Pipes, with runs that are ended from outside."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
from interrupts import heed_interrupts
from processes import processes_with

from distil_dagster.errors import TrainingError
from distil_dagster.orchestration.worker import run_worker
from distil_dagster.training.job import SftJob

RUN = """
import sys
from pathlib import Path
import dagster as dg
from distil_dagster.orchestration.worker import run_worker
from distil_dagster.training.job import read_job

@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["letters"]))
def trained(context: dg.AssetExecutionContext) -> None:
    run_worker(context, read_job(Path(sys.argv[1])), Path(sys.argv[2]))

from dagster._utils.interrupts import setup_interrupt_handlers
# As Dagster's own programs do it for a step that is asked to end.
setup_interrupt_handlers()
dg.materialize([trained], partition_key="letters")
"""


@pytest.fixture
def job(training_job) -> SftJob:
    return training_job


def materialized(job: SftJob, folder: Path) -> dg.ExecuteInProcessResult:
    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["letters"]))
    def trained(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        run_worker(context, job, folder)
        return dg.MaterializeResult()

    return dg.materialize([trained], partition_key="letters", raise_on_error=False)


def error_of(result: dg.ExecuteInProcessResult) -> str:
    (failure,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    return failure.error.cause.message


@pytest.mark.parametrize("processes", [1, 2])
def test_what_is_measured_becomes_observations_of_the_asset(job, tmp_path, monkeypatch, processes):
    monkeypatch.setenv("DISTIL_TRAINING_PROCESSES", str(processes))
    result = materialized(job, tmp_path / "work")
    assert result.success
    observed = result.asset_observations_for_node("trained")[-1].metadata
    assert observed["step"].value == 4 // processes
    assert {"loss", "learning_rate", "tokens_per_second"} <= observed.keys()
    assert (job.output / "adapter_model.safetensors").is_file()


def test_the_programs_own_reason_is_the_assets_error(job, tmp_path):
    job.train_rows.write_text("{")
    result = materialized(job, tmp_path / "work")
    assert error_of(result).startswith(f"{TrainingError.__module__}.TrainingError: {job.train_rows}:1: line: Invalid")


def test_a_reason_that_only_another_process_knows_is_the_assets_error_too(job, tmp_path, monkeypatch):
    monkeypatch.setenv("DISTIL_TRAINING_PROCESSES", "2")
    job.train_rows.write_text("{")
    assert f"{job.train_rows}:1: line: Invalid" in error_of(materialized(job, tmp_path / "work"))


def test_a_crash_shows_the_programs_last_lines(job, tmp_path, monkeypatch):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise RuntimeError('no such driver')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    error = error_of(materialized(job, tmp_path / "work"))
    assert "the training program ended with exit code 1\n" in error
    assert "Could not import module" in error


@pytest.mark.parametrize("way", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_ended_takes_its_training_with_it(job, tmp_path, way):
    if not Path("/proc").is_dir():
        pytest.skip("the processes of this machine cannot be listed")
    endless = job.model_copy(update={"tuning": job.tuning.model_copy(update={"num_train_epochs": 5000})})
    (tmp_path / "endless.json").write_text(endless.model_dump_json())
    (tmp_path / "run.py").write_text(RUN)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "DISTIL_TRAINING_PROCESSES": "2"}
    run = subprocess.Popen(
        [sys.executable, str(tmp_path / "run.py"), str(tmp_path / "endless.json"), str(tmp_path / "work")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
        preexec_fn=heed_interrupts,
    )
    job_file = tmp_path / "work" / "job.json"
    try:
        wait_until(lambda: list(tmp_path.glob("checkpoints/*/checkpoint-*/trainer_state.json")))
        assert len(processes_with(job_file)) == 3
        run.send_signal(way)
        run.wait(timeout=60)
        wait_until(lambda: not processes_with(job_file))
    finally:
        run.kill()
        run.wait()


def wait_until(holds) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)
