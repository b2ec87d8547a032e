"""Runs that are terminated from the UI, or whose run worker is killed: nothing of them is left."""

import os
import signal
from pathlib import Path
from threading import Thread

import dagster as dg
import pytest
from orchestration.device_runs import (
    Launched,
    executed,
    failure_of,
    in_session,
    is_running,
    launched,
    pids_in,
    wait_until,
)
from processes import processes_with

from distil_dagster.training.job import SftJob

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="the processes of this machine cannot be listed")

LETTERS = {"dagster/partition": "letters"}
# It stays, with the step as its child.
SHELL = ["sh", "-c", '"$@"; true', "sh"]
# On a quiet machine it takes one, or with a killed run worker six.
SECONDS = 30


@pytest.fixture
def instance():
    with dg.instance_for_test() as instance:
        instance.event_log_storage.set_concurrency_slots("gpu", 1)
        yield instance


def on_gpu(*command: str) -> dict:
    return {"gpu": {"local": {"command": list(command)}}}


def free_places(instance: dg.DagsterInstance) -> int:
    pool = instance.event_log_storage.get_concurrency_info("gpu")
    return pool.slot_count - len(pool.claimed_slots)


def says(run: Launched, text: str) -> bool:
    return any(text in entry.message for entry in run.instance.all_logs(run.run_id))


def endless(job: SftJob) -> SftJob:
    return job.model_copy(update={"tuning": job.tuning.model_copy(update={"num_train_epochs": 5000})})


def checkpoints(job: SftJob) -> list[Path]:
    return list(job.checkpoints.glob("*/checkpoint-*/trainer_state.json"))


@pytest.mark.parametrize("command", [[], ["nice", "-n", "1"], SHELL])
def test_a_terminated_run_ends_its_steps_and_leaves_the_pool(left, instance, command):
    with launched("endless", on_gpu(*command), instance) as run:
        pids = pids_in(left / "pids")
        assert free_places(instance) == 0
        run.terminate()
        assert wait_until(lambda: not any(map(is_running, pids))) < SECONDS
        assert wait_until(lambda: run.status == dg.DagsterRunStatus.CANCELED) < SECONDS
        assert free_places(instance) == 1
        assert "DagsterExecutionInterruptedError" in run.failures()[0]


def test_a_step_that_was_taken_to_another_session_ends_too(left, instance):
    with launched("endless", on_gpu("setsid", "--wait"), instance) as run:
        pids = pids_in(left / "pids")
        run.terminate()
        assert wait_until(lambda: not any(map(is_running, pids))) < SECONDS


def test_a_step_that_does_not_listen_is_killed(left, instance):
    with launched("deaf", on_gpu(), instance) as run:
        (pid,) = pids_in(left / "pids")
        run.terminate()
        assert wait_until(lambda: not is_running(pid)) < SECONDS
        wait_until(lambda: run.status == dg.DagsterRunStatus.CANCELED)
        assert run.failures() == ["the step was terminated with its run\n"]
        assert free_places(instance) == 1


def test_a_step_that_has_not_begun_leaves_the_pool_too(left, instance):
    with launched("endless", on_gpu("sh", "-c", "sleep 600"), instance) as run:
        wait_until(lambda: says(run, "waits runs on the gpu"))
        assert free_places(instance) == 0
        run.terminate()
        assert wait_until(lambda: run.status == dg.DagsterRunStatus.CANCELED) < SECONDS
        assert run.failures() == ["the step was terminated with its run\n"]
        assert free_places(instance) == 1


@pytest.mark.parametrize("command", [[], SHELL])
def test_steps_end_with_a_run_worker_that_is_killed_and_their_run_fails(left, instance, command):
    with launched("endless", on_gpu(*command), instance) as run:
        pids = pids_in(left / "pids")
        os.kill(run.worker(), signal.SIGKILL)
        assert wait_until(lambda: not any(map(is_running, pids))) < SECONDS
        wait_until(lambda: run.status == dg.DagsterRunStatus.FAILURE)
        assert says(run, "was terminated by signal 9 (SIGKILL)")


@pytest.mark.parametrize("way", ["terminated", "killed"])
def test_a_training_on_several_processes_ends_with_its_run(left, instance, training_job, monkeypatch, way):
    monkeypatch.setenv("DISTIL_TRAINING_PROCESSES", "2")
    (left / "sft.json").write_text(endless(training_job).model_dump_json())
    with launched("training", on_gpu(*SHELL), instance, LETTERS) as run:
        wait_until(lambda: checkpoints(training_job))
        # Torchrun and its two.
        assert len(processes_with(left / "work" / "job.json")) == 3
        if way == "terminated":
            run.terminate()
        else:
            os.kill(run.worker(), signal.SIGKILL)
        assert wait_until(lambda: not processes_with(left / "work" / "job.json")) < SECONDS
        assert wait_until(lambda: not in_session(run.step("trained"))) < SECONDS


def test_a_training_that_the_system_kills_says_so_and_goes_on_when_it_is_tried_again(left, instance, training_job):
    epochs = training_job.tuning.model_copy(update={"num_train_epochs": 40})
    (left / "sft.json").write_text(training_job.model_copy(update={"tuning": epochs}).model_dump_json())
    Thread(target=kill_training, args=(training_job, left)).start()
    with executed("training", on_gpu(), instance, tags=LETTERS) as result:
        assert not result.success
        failure = failure_of(result)
        assert "the training program was killed, most likely because the machine ran out of memory: halve" in failure
        assert "is kept (exit code 137, SIGKILL)" in failure
        assert free_places(instance) == 1
        options = dg.ReexecutionOptions.from_failure(result.run_id, instance)
    with executed("training", on_gpu(), instance, reexecution_options=options, tags=LETTERS) as result:
        assert result.success
        lines = [entry.user_message for entry in instance.all_logs(result.run_id)]
    (resumed,) = [line for line in lines if "going on from step" in line]
    assert int(resumed.split()[-1]) > 0
    assert (training_job.output / "adapter_model.safetensors").is_file()


def kill_training(job: SftJob, folder: Path) -> None:
    """As the system does when memory runs out, once there is something to go on from."""
    wait_until(lambda: checkpoints(job))
    (worker,) = processes_with(folder / "work" / "job.json")
    os.kill(worker, signal.SIGKILL)
