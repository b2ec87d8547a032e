"""One job, opened."""

import json

import pytest

from distil_dagster.data.objects import StorageError
from distil_dagster.errors import ConfigError
from distil_dagster.job import Job, open_job

DESCRIPTION = {
    "task_description": "Do it.",
    "input_description": "A letter.",
    "classes_description": {"bills": "Invoices.", "parcels": "Deliveries."},
    "tools": [{"type": "function", "function": {"name": "stamp", "parameters": {"type": "object"}}}],
}


@pytest.fixture
def opened(tmp_path):
    def open_with(task: str, **evaluation: object) -> Job:
        (tmp_path / "job_description.json").write_text(json.dumps(DESCRIPTION), encoding="utf-8")
        config = {"base": {"task": task}, "evaluation": evaluation, "data": {"path": "."}}
        (tmp_path / "job.json").write_text(json.dumps(config), encoding="utf-8")
        return open_job(tmp_path / "job.json")

    return open_with


@pytest.mark.parametrize(
    ("task", "classes", "tools"),
    [
        ("classification", 2, 0),
        ("question-answering", 0, 0),
        ("tool-calling-closed-book", 0, 1),
    ],
)
def test_classes_and_tools_of_other_tasks_reach_no_prompt(opened, task, classes, tools):
    description = opened(task).description
    assert (len(description.classes_description), len(description.tools)) == (classes, tools)


@pytest.mark.parametrize(("expand", "rows"), [(True, 2), (False, 1)])
def test_a_conversation_is_evaluated_turn_by_turn_unless_told_otherwise(opened, boat_hire, expand, rows):
    job = opened("multi-turn-tool-calling-closed-book", expand_tool_calling_turns=expand)
    found = job.evaluation_rows([boat_hire(3)])
    assert len(found) == rows
    assert found[-1] == (boat_hire(3) if not expand else job.task.turns(boat_hire(3))[-1])


@pytest.fixture
def in_a_bucket(tmp_path):
    """The file of a job whose data is below a prefix, and a folder with that data."""
    (tmp_path / "fetched").mkdir()
    (tmp_path / "fetched" / "job_description.json").write_text(json.dumps(DESCRIPTION), encoding="utf-8")
    config = {"base": {"task": "classification"}, "data": {"path": "s3://bucket/letters"}}
    (tmp_path / "job.json").write_text(json.dumps(config), encoding="utf-8")
    return tmp_path / "job.json"


def test_a_job_below_a_prefix_is_opened_from_the_folder_that_it_is_fetched_to(in_a_bucket, tmp_path):
    asked: list[str] = []
    job = open_job(in_a_bucket, fetch=lambda prefix: asked.append(prefix) or tmp_path / "fetched")
    assert (asked, job.folder.path) == (["s3://bucket/letters"], tmp_path / "fetched")
    assert job.description.task_description == "Do it."


def test_without_a_way_to_fetch_it_a_prefix_is_no_folder(in_a_bucket):
    with pytest.raises(ConfigError, match="s3://bucket/letters is no folder of this machine"):
        open_job(in_a_bucket)


def test_a_prefix_that_cannot_be_fetched_is_a_mistake_with_file_and_key(in_a_bucket):
    def fail(prefix):
        raise StorageError(f"{prefix}: there is no such bucket")

    with pytest.raises(ConfigError, match=r"job\.json: data\.path: s3://bucket/letters: there is no such bucket"):
        open_job(in_a_bucket, fetch=fail)
