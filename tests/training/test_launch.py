import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from interrupts import heed_interrupts, ignore_the_end
from processes import processes_with

from distil_dagster.errors import TrainingError
from distil_dagster.training.checkpoints import last_complete_checkpoint, own_checkpoints
from distil_dagster.training.job import MergeJob, PredictJob, write_job
from distil_dagster.training.launch import (
    PROCESSES_VARIABLE,
    processes_for,
    run_worker,
    visible_gpus,
    why_it_ended,
    worker_command,
)

# Stands in for whoever runs an asset; a SIGTERM ends it at once, without a word to its children.
STARTER = """
import logging, sys
from pathlib import Path
from distil_dagster.training.job import read_job
from distil_dagster.training.launch import run_worker
logging.basicConfig(level="INFO", format="%(message)s", stream=sys.stdout)
run_worker(read_job(Path(sys.argv[1])), Path(sys.argv[2]))
"""


@pytest.fixture
def gpus(tmp_path, monkeypatch):
    """A machine on which torch, asked in a process of its own, sees as many GPUs as its environment leaves of four."""
    programs, modules = tmp_path / "programs", tmp_path / "modules"
    programs.mkdir()
    (programs / "nvidia-smi").write_text("#!/bin/sh\n")
    (programs / "nvidia-smi").chmod(0o755)
    (modules / "torch").mkdir(parents=True)
    counting = (
        "import os\nclass cuda:\n    @staticmethod\n    def device_count():\n"
        "        shown = os.environ.get('CUDA_VISIBLE_DEVICES', '0,1,2,3')\n"
        "        return len(shown.split(',')) if shown else 0\n"
    )
    (modules / "torch" / "__init__.py").write_text(counting)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(modules))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv(PROCESSES_VARIABLE, raising=False)


@pytest.mark.parametrize(("shown", "count"), [(None, 4), ("0,2", 2), ("3", 1), ("", 0)])
def test_the_gpus_are_those_that_the_environment_leaves(gpus, monkeypatch, shown, count):
    if shown is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)
    assert visible_gpus() == count


def test_without_nvidias_tools_there_is_nothing_to_ask(gpus, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert visible_gpus() == 0


def test_a_training_takes_every_gpu_and_a_prediction_one(gpus, sft_job, tmp_path):
    assert processes_for(sft_job) == 4
    assert processes_for(PredictJob(model=tmp_path, rows=tmp_path, output=tmp_path)) == 1
    assert processes_for(MergeJob(model=tmp_path, output=tmp_path)) == 1


def test_a_training_without_gpus_is_one_process(gpus, sft_job, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert processes_for(sft_job) == 1


def test_the_variable_goes_before_the_count_unless_it_is_empty(gpus, sft_job, monkeypatch):
    monkeypatch.setenv(PROCESSES_VARIABLE, "2")
    assert processes_for(sft_job) == 2
    monkeypatch.setenv(PROCESSES_VARIABLE, "")
    assert processes_for(sft_job) == 4


@pytest.mark.parametrize("value", ["0", "two", "-1", "1.5"])
def test_a_variable_that_is_no_number_of_processes_is_refused(sft_job, monkeypatch, value):
    monkeypatch.setenv(PROCESSES_VARIABLE, value)
    with pytest.raises(TrainingError, match=rf"^{PROCESSES_VARIABLE}: must be a number from 1, and is '{value}'$"):
        processes_for(sft_job)


def test_counting_leaves_this_process_without_torch(gpus):
    script = "import sys; from distil_dagster.training.launch import visible_gpus; print(visible_gpus(), *sys.modules)"
    count, *loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout.split()
    assert count == "4"
    assert "torch" not in loaded


def test_one_process_needs_no_launcher_and_several_have_torchs(tmp_path):
    program = ["-m", "distil_dagster.training.worker", str(tmp_path)]
    assert worker_command(tmp_path) == [sys.executable, *program]
    assert worker_command(tmp_path, 3) == [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=3",
        *program,
    ]


def test_the_launcher_gives_the_reason_as_an_error(sft_job, tmp_path):
    sft_job.train_rows.write_text("{")
    with pytest.raises(TrainingError, match=r"^\S+train\.jsonl:1: line: Invalid JSON"):
        run_worker(sft_job, tmp_path / "work")


def test_the_programs_own_reason_is_found_among_its_lines(sft_job):
    assert why_it_ended(1, ["loading", "error: a: first", "second"], sft_job) == "a: first\nsecond"


def test_the_words_of_torchs_launcher_are_no_part_of_the_reason(sft_job):
    for follows in (
        "Traceback (most recent call last):",
        "E1125 18:44:40 14433 torch/distributed/elastic/multiprocessing/api.py:1002] failed",
        "error: a: first",
    ):
        assert why_it_ended(1, ["error: a: first", "second", follows, "more"], sft_job) == "a: first\nsecond"


@pytest.mark.parametrize(
    ("code", "lines"), [(-9, ["step 3"]), (137, []), (1, ["  traceback : Signal 9 (SIGKILL) received by PID 7"])]
)
def test_a_kill_is_explained_by_memory_with_the_jobs_own_advice(sft_job, code, lines):
    reason = why_it_ended(code, lines, sft_job)
    assert "ran out of memory: halve tuning.per_device_train_batch_size (now 4)" in reason
    assert "what was trained up to the last checkpoint is kept" in reason


def test_a_crash_shows_the_last_lines(sft_job):
    shown = why_it_ended(1, [f"line {number}" for number in range(100)], sft_job)
    assert "code 1" in shown
    assert shown.endswith("line 99")
    assert "line 50" not in shown


def workers_of(job_file: Path) -> list[int]:
    """The processes of this machine whose command names a job's file, but for the one that started them."""
    return processes_with(job_file, "distil_dagster.training.worker")


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("way", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_program_ends_with_whoever_started_it_and_leaves_its_checkpoints(
    sft_job, tmp_path, monkeypatch, way, processes
):
    if not Path("/proc").is_dir():
        pytest.skip("the processes of this machine cannot be listed")
    long = sft_job.model_copy(update={"tuning": sft_job.tuning.model_copy(update={"num_train_epochs": 400})})
    write_job(tmp_path / "long.json", long)
    bystander = subprocess.Popen(["sleep", "600"])
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path / "long.json"), str(tmp_path / "work")],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", PROCESSES_VARIABLE: str(processes)},
        # What the program inherits must not keep it from ending.
        preexec_fn=ignore_the_end if way == signal.SIGKILL else heed_interrupts,
    )
    try:
        # Checkpoints are written a twentieth of the steps apart.
        first = next(line for line in starter.stdout if line.startswith("sft: step 1"))
        assert first
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("checkpoints/*/checkpoint-*/trainer_state.json")):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        running = workers_of(tmp_path / "work" / "job.json")
        assert len(running) == (1 if processes == 1 else 1 + processes)
        starter.send_signal(way)
        starter.communicate(timeout=60)
        deadline = time.monotonic() + 60
        while workers_of(tmp_path / "work" / "job.json"):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert bystander.poll() is None
        assert not long.output.exists()
    finally:
        bystander.kill()
        bystander.wait()
        starter.kill()
        starter.communicate()
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    assert last_complete_checkpoint(own_checkpoints(long)) is not None
