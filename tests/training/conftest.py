from pathlib import Path

import pytest

from distil_dagster.config.sections import Tuning
from distil_dagster.training.job import SftJob
from distil_dagster.training.rows import ChatRow, write_rows

SYSTEM = "Say which animal speaks. Answer with one word: cat, dog or cow."
CRIES = {"meow": "cat", "woof": "dog", "moo": "cow"}


@pytest.fixture(scope="session")
def student(tmp_path_factory, write_student) -> Path:
    """A random model with a small vocabulary made of the rows' words."""
    return write_student(tmp_path_factory.mktemp("student"), [SYSTEM, *CRIES, *CRIES.values()], 512)


def chat_row(row_id: str, question: str, answer: str | None = None) -> ChatRow:
    prompt = ({"role": "system", "content": SYSTEM}, {"role": "user", "content": question})
    completion = ({"role": "assistant", "content": answer},) if answer is not None else ()
    return ChatRow(id=row_id, prompt=prompt, completion=completion)


@pytest.fixture
def rows() -> list[ChatRow]:
    """24 rows of different lengths; the answer can be read off the question."""
    return [
        chat_row(f"row-{number}", " ".join([cry] * (1 + number // 3 % 4)), animal)
        for number, (cry, animal) in enumerate(list(CRIES.items()) * 8)
    ]


@pytest.fixture
def tuning() -> Tuning:
    return Tuning(
        learning_rate=1e-2,
        learning_rate_scheduler="cosine",
        bf16=False,
        lora_r=8,
        lora_alpha_multiplier=2,
        per_device_train_batch_size=4,
        per_device_eval_batch_size=4,
        num_train_epochs=2,
    )


@pytest.fixture
def sft_job(tmp_path, student, rows, tuning) -> SftJob:
    write_rows(tmp_path / "train.jsonl", rows[:18])
    write_rows(tmp_path / "eval.jsonl", rows[18:])
    return SftJob(
        student=student,
        tuning=tuning,
        seed=7,
        train_rows=tmp_path / "train.jsonl",
        eval_rows=tmp_path / "eval.jsonl",
        output=tmp_path / "adapter",
        checkpoints=tmp_path / "checkpoints",
    )


class Recorder:
    """A report that keeps what it was told."""

    def __init__(self) -> None:
        self.values: list[dict] = []
        self.failures: list[str] = []

    def measured(self, values) -> None:
        self.values.append(dict(values))

    def failed(self, text: str) -> None:
        self.failures.append(text)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture(scope="session")
def tuned(student, tmp_path_factory) -> Path:
    """An adapter that changes what the student writes."""
    from distil_dagster.training.sft import train

    folder = tmp_path_factory.mktemp("tuned")
    cries = list(CRIES.items()) * 4
    rows = [chat_row(str(number), f"{cry} {number}", animal) for number, (cry, animal) in enumerate(cries)]
    write_rows(folder / "rows.jsonl", rows)
    settings = {"learning_rate": 1e-2, "bf16": False, "lora_r": 32, "lora_alpha_multiplier": 2}
    job = SftJob(
        student=student,
        tuning=Tuning(**settings, per_device_train_batch_size=6, num_train_epochs=12),
        seed=1,
        train_rows=folder / "rows.jsonl",
        eval_rows=folder / "rows.jsonl",
        output=folder / "adapter",
        checkpoints=folder / "checkpoints",
    )
    train(job, Recorder())
    return job.output
