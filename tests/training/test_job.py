import json

import pytest

from distil_dagster.errors import TrainingError
from distil_dagster.training.job import MergeJob, PredictJob, read_job, write_job


def test_every_kind_of_job_comes_back_from_its_file(sft_job, tmp_path):
    predict = PredictJob(model=tmp_path, rows=tmp_path / "rows.jsonl", output=tmp_path / "out.jsonl")
    merge = MergeJob(model=tmp_path, adapter=tmp_path / "adapter", output=tmp_path / "merged")
    for job in (sft_job, predict, merge):
        write_job(tmp_path / "job.json", job)
        assert read_job(tmp_path / "job.json") == job


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "teach"}, "'sft', 'grpo', 'predict', 'merge'"),
        ({"tuning": {"learning_rate": -1}}, r"sft\.tuning\.learning_rate: Input should be greater than 0"),
        ({"tuning": {"lora_rank": 3}}, r"sft\.tuning\.lora_rank"),
        ({"seed": None}, r"sft\.seed"),
        ({"colour": "red"}, r"sft\.colour"),
    ],
)
def test_a_mistake_in_a_job_is_named_with_its_key(sft_job, tmp_path, changes, message):
    (tmp_path / "job.json").write_text(json.dumps(sft_job.model_dump(mode="json") | changes))
    with pytest.raises(TrainingError, match=message):
        read_job(tmp_path / "job.json")


def test_a_missing_or_garbled_file_is_named(tmp_path):
    with pytest.raises(TrainingError, match=r"job\.json: missing"):
        read_job(tmp_path / "job.json")
    (tmp_path / "job.json").write_text("{")
    with pytest.raises(TrainingError, match=r"job\.json: job: Invalid JSON"):
        read_job(tmp_path / "job.json")
