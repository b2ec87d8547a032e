"""What runs out or cannot be used: limits and a small disk around the real program, where the machine lets us."""

import errno
import json
import os
import shutil
import subprocess
import sys

import pytest
from training.conftest import chat_row

from distil_dagster.config.sections import Tuning
from distil_dagster.errors import TrainingError
from distil_dagster.training.checkpoints import last_complete_checkpoint, own_checkpoints
from distil_dagster.training.failures import disk_advice, explained, memory_advice
from distil_dagster.training.job import MergeJob, PredictJob, write_job
from distil_dagster.training.launch import run_worker
from distil_dagster.training.rows import write_rows
from distil_dagster.training.sft import train
from distil_dagster.training.worker import do


def limited(limit, job, folder):
    """The program under a limit of the shell: its exit status and what it said."""
    write_job(folder / "job.json", job)
    script = f'ulimit {limit}; exec "$0" -m distil_dagster.training.worker "$1"'
    ended = subprocess.run(
        ["bash", "-c", script, sys.executable, str(folder / "job.json")],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert "Traceback" not in ended.stdout + ended.stderr
    return ended.returncode, ended.stderr


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a given size in KiB, which can grow."""
    folder = tmp_path / "small"
    folder.mkdir()

    def sized(kilobytes):
        already = ["-o", f"remount,size={kilobytes}k"] if folder.is_mount() else ["-o", f"size={kilobytes}k"]
        mounted = subprocess.run(["mount", "-t", "tmpfs", *already, "tmpfs", str(folder)], capture_output=True)
        if mounted.returncode != 0:
            pytest.skip("file systems cannot be mounted here")
        return folder

    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    yield sized
    if folder.is_mount():
        subprocess.run(["umount", str(folder)], check=True)


def kilobytes(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) // 1024 + 1


def test_a_full_disk_stops_the_training_with_a_reason_and_room_lets_it_go_on(
    sft_job, small_disk, recorder, tmp_path, monkeypatch
):
    elsewhere = sft_job.model_copy(update={"output": tmp_path / "whole", "checkpoints": tmp_path / "whole-checkpoints"})
    train(elsewhere, recorder)
    one = kilobytes(last_complete_checkpoint(own_checkpoints(elsewhere)))
    # Room for two checkpoints and some, where a third is written before the first one is removed.
    disk = small_disk(2 * one + one // 2)
    job = sft_job.model_copy(update={"output": disk / "adapter", "checkpoints": disk / "checkpoints"})
    with pytest.raises(TrainingError) as failure:
        run_worker(job, tmp_path / "work")
    assert str(failure.value).startswith(f"{disk}")
    assert "writing failed for lack of room: " in str(failure.value)
    assert "bytes are free there" in str(failure.value)
    assert "let DISTIL_ARTEFACTS name a folder that has it" in str(failure.value)
    assert not job.output.exists()
    assert not list(disk.glob(".*"))
    small_disk(10 * one)
    run_worker(job, tmp_path / "work")
    assert (job.output / "adapter_model.safetensors").read_bytes() == (
        elsewhere.output / "adapter_model.safetensors"
    ).read_bytes()


def test_a_limit_on_the_size_of_files_is_explained_in_the_same_way(sft_job, tmp_path):
    code, errors = limited("-f 40", sft_job, tmp_path)
    assert code == 1
    assert "or a quota or a limit on the size of files is reached" in errors
    assert "what was trained up to the last checkpoint is kept" in errors
    assert not sft_job.output.exists()


def test_a_merge_that_cannot_be_written_leaves_nothing_behind(student, tmp_path):
    folder = tmp_path / "models"
    code, errors = limited("-f 40", MergeJob(model=student, output=folder / "merged"), tmp_path)
    assert code == 1
    assert f"error: {folder}: writing failed for lack of room" in errors
    assert list(folder.iterdir()) == []


def test_memory_that_runs_out_is_explained_by_the_parameters_names(sft_job, tmp_path):
    long_rows = [chat_row(str(number), f"meow {number} " * 60, "cat") for number in range(1024)]
    write_rows(sft_job.train_rows, long_rows)
    tuning = sft_job.tuning.model_copy(update={"per_device_train_batch_size": 1024})
    code, errors = limited("-v 4000000", sft_job.model_copy(update={"tuning": tuning}), tmp_path)
    assert code == 1
    assert "error: out of memory: halve tuning.per_device_train_batch_size (now 1024) and double" in errors


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you"),
    ],
)
def test_every_way_of_running_out_of_memory_is_recognised(sft_job, error):
    assert str(explained(error, sft_job)) == memory_advice(sft_job)


def test_the_gpus_own_error_is_recognised(sft_job):
    import torch

    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of")
    assert str(explained(error, sft_job)) == memory_advice(sft_job)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"),
    ],
)
def test_every_way_of_a_disk_to_be_full_is_recognised(sft_job, error):
    assert "writing failed for lack of room" in str(explained(error, sft_job))


def test_the_cause_of_an_error_counts_too(sft_job):
    error = RuntimeError("the trainer could not save")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert "lack of room" in str(explained(error, sft_job))


def test_the_folder_with_the_least_room_is_named(sft_job, tmp_path, monkeypatch):
    free = {tmp_path: 5_000_000, tmp_path / "checkpoints": 1_234}
    sft_job.checkpoints.mkdir()
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 0, free[folder]))
    assert disk_advice(sft_job).startswith(f"{sft_job.checkpoints}: writing failed for lack of room: 1,234 bytes are")


def test_what_nothing_is_known_about_stays_as_it_is(sft_job):
    assert explained(RuntimeError("shape mismatch"), sft_job) is None
    assert explained(OSError("no number, no name"), sft_job) is None


def test_a_file_of_the_machine_is_named_with_what_is_wrong_with_it(sft_job):
    error = PermissionError(errno.EACCES, "Permission denied", "/models/rows.jsonl")
    assert str(explained(error, sft_job)) == "/models/rows.jsonl: Permission denied"


def test_weights_of_other_shapes_than_the_settings_say_are_an_error(sft_job, student, tmp_path, recorder):
    folder = shutil.copytree(student, tmp_path / "other")
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | {"hidden_size": 32}))
    with pytest.raises(TrainingError, match=f"^{folder}: its weights have not the shapes that its config.json says"):
        do(sft_job.model_copy(update={"student": folder}), recorder)


@pytest.mark.parametrize(
    ("settings", "named", "not_named"),
    [
        ({}, "memory_optimized_training", "per_device_train_batch_size"),
        ({"per_device_train_batch_size": 2, "memory_optimized_training": True}, "use_qlora", "memory_optimized"),
        ({"use_lora": False}, "use_lora", "use_qlora"),
    ],
)
def test_the_advice_names_only_what_can_still_be_changed(sft_job, settings, named, not_named):
    advice = memory_advice(sft_job.model_copy(update={"tuning": Tuning(**settings)}))
    assert f"tuning.{named}" in advice
    assert not_named not in advice


def test_predicting_and_merging_have_advice_of_their_own(tmp_path):
    predict = PredictJob(model=tmp_path, rows=tmp_path, output=tmp_path, batch_size=64)
    assert "take a smaller base.student_model_name" in memory_advice(predict)
    assert "merging" in memory_advice(MergeJob(model=tmp_path, output=tmp_path))
