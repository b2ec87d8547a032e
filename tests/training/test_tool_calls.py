"""From conversations with tools to a student that calls them, through the same files as the pipeline's."""

import pytest

from distil_dagster.config.pipeline import PipelineConfig
from distil_dagster.data.folder import JobFolder
from distil_dagster.job import Job
from distil_dagster.training.predict import predict
from distil_dagster.training.preparing import prepare_prediction, prepare_sft, student_shots
from distil_dagster.training.sft import train
from distil_dagster.training.weights import Weights


@pytest.fixture
def boats(boat_job, boat_task, tuning, tmp_path) -> Job:
    config = PipelineConfig.model_validate(
        {"base": {"task": boat_task.name, "student_model_name": "Qwen3-0.6B", "random_seed": 5}}
    )
    settings = {"num_train_epochs": 12, "num_few_shot_examples_student": 1, "lora_r": 32}
    config = config.model_copy(update={"tuning": tuning.model_copy(update=settings)})
    return Job("boats", config, JobFolder(tmp_path), boat_job, boat_task)


def test_a_student_learns_to_call_tools_from_conversations(boats, boat_hire, write_student, recorder, tmp_path):
    seeds = [boat_hire(seats) for seats in range(2, 12)]
    texts = [message.content + message.answer for message in seeds[0].messages]
    student = write_student(tmp_path / "student", [*texts, str(boats.task.tools), "<tool_call>\n</tool_call>"], 4096)
    shots = student_shots(boats, seeds)
    examples = [seed for seed in seeds if seed not in shots]
    training = prepare_sft(boats, examples, Weights(student, "here"), tmp_path / "sft", shots)
    summary = train(training, recorder)
    assert summary.train_rows + summary.eval_rows == 2 * len(examples)
    asked = boats.evaluation_rows(examples[:4])
    written = predict(prepare_prediction(boats, asked, student, training.output, tmp_path / "asked", shots))
    assert all(row.finish_reason == "stop" for row in written)
    # It has learned which call comes when, and how one is written; so tiny a student copies no values.
    calls = ["find_boat", "hire_boat"] * 4
    begins = [f'<tool_call>\n{{"name": "{name}", ' for name in calls]
    assert [row.text[: len(begin)] for row, begin in zip(written, begins, strict=True)] == begins
    assert any(boats.task.parse_prediction(row.text).valid for row in written)
