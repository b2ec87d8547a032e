"""Jobs of RLVR whose judge is the simulated teacher, asked over HTTP by the real training program."""

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from distil_dagster.config.pipeline import PipelineConfig
from distil_dagster.config.sections import Tuning
from distil_dagster.data.job import JobDescription
from distil_dagster.simulator.server import SimulatedTeacher
from distil_dagster.training.job import GrpoJob
from distil_dagster.training.rows import ChatRow, RewardRow, write_rows

IN_FLIGHT = 4
KEY_VARIABLE = "NO_KEY_NEEDED"
_SETTINGS = {
    "learning_rate": 5e-3,
    "rlvr_dataset_size": 0.5,
    "rlvr_num_generations": 4,
    "rlvr_per_device_batch_size": 8,
    "rlvr_num_train_epochs": 1,
}


def rlvr_job(
    folder: Path, student: Path, adapter: Path, rows: Sequence[ChatRow], tuning: Tuning, teacher: SimulatedTeacher
) -> GrpoJob:
    """A job with rows, journal and output in `folder`; two prompts of four completions are a step of one process."""
    folder.mkdir()
    judged = [
        RewardRow(**row.model_dump(), question=row.prompt[-1]["content"], reference=row.completion[0]["content"])
        for row in rows
    ]
    write_rows(folder / "rows.jsonl", judged)
    write_rows(folder / "held_out.jsonl", judged[:4])
    route = {"model": "openai/simulated/{name}", "base_url": teacher.base_url, "api_key_env": KEY_VARIABLE}
    config = {
        "base": {"task": "question-answering", "llm_num_parallel_requests": IN_FLIGHT},
        "tuning": tuning.model_dump() | _SETTINGS,
        "data": {"models": {"*": route}},
    }
    return GrpoJob(
        model=student,
        adapter=adapter,
        config=PipelineConfig.model_validate(config),
        description=JobDescription(task_description="Say which animal speaks.", input_description="A cry."),
        journal=folder,
        seed=7,
        rows=folder / "rows.jsonl",
        held_out=folder / "held_out.jsonl",
        max_new_tokens=8,
        output=folder / "adapter",
        checkpoints=folder / "checkpoints",
    )


def bought(job: GrpoJob) -> dict[str, str]:
    """The prompts in a job's journal, by key."""
    connection = sqlite3.connect(f"file:{job.journal / 'journal.sqlite'}?mode=ro", uri=True)
    try:
        rows = connection.execute("SELECT key, request FROM answers").fetchall()
    finally:
        connection.close()
    return {key: json.loads(request)["messages"][-1]["content"] for key, request in rows}
