"""One job, opened."""

import json

import pytest

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
