"""What tests of runs share: a small training, and the folder that a run's steps find."""

from pathlib import Path

import pytest
from orchestration.device_jobs import FOLDER_VARIABLE

from distil_dagster.config.sections import Tuning
from distil_dagster.training.job import SftJob
from distil_dagster.training.rows import ChatRow, write_rows


@pytest.fixture
def training_job(tmp_path, tiny_student) -> SftJob:
    rows = [
        ChatRow(
            id=str(number),
            prompt=({"role": "user", "content": f"letter {number}"},),
            completion=({"role": "assistant", "content": "bills"},),
        )
        for number in range(8)
    ]
    write_rows(tmp_path / "train.jsonl", rows)
    write_rows(tmp_path / "eval.jsonl", [])
    return SftJob(
        student=tiny_student,
        tuning=Tuning(bf16=False, lora_r=4, per_device_train_batch_size=4, num_train_epochs=2),
        seed=1,
        train_rows=tmp_path / "train.jsonl",
        eval_rows=tmp_path / "eval.jsonl",
        output=tmp_path / "adapter",
        checkpoints=tmp_path / "checkpoints",
    )


@pytest.fixture
def left(tmp_path, monkeypatch) -> Path:
    """The folder where the steps of device jobs leave what a test looks at."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path
