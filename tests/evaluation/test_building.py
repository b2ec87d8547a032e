"""From seeds and answers to an evaluation, for a job whose conversations give several rows each."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from distil_dagster.config.pipeline import PipelineConfig
from distil_dagster.data.folder import JobFolder
from distil_dagster.errors import DataError
from distil_dagster.evaluation.building import evaluate_teacher, original_predictions, score_student
from distil_dagster.job import Job
from distil_dagster.llm.requests import Failed
from distil_dagster.traces.seeds import SeedData
from distil_dagster.training.rows import Written


@pytest.fixture
def boats(boat_job, boat_task, tmp_path) -> Job:
    config = PipelineConfig.model_validate(
        {"base": {"task": boat_task.name, "student_model_name": "Qwen3-0.6B", "random_seed": 3}}
    )
    return Job("boats", config, JobFolder(tmp_path), boat_job, boat_task)


@pytest.fixture
def seeds(boat_hire) -> SeedData:
    return SeedData([boat_hire(n) for n in (6, 7)], [boat_hire(n) for n in (2, 3, 4)], [], [], [])


def unexpanded(job: Job) -> Job:
    evaluation = job.config.evaluation.model_copy(update={"expand_tool_calling_turns": False})
    return replace(job, config=job.config.model_copy(update={"evaluation": evaluation}))


def right_call(request):
    """What a teacher would answer that knows the conversation, and a judge that compares the names of the tools."""
    if request.schema_name == "verdict":
        prompt = request.messages[0]["content"]
        called = [
            prompt.split(f"<{block}>\n")[1].split('"name": "')[1].split('"')[0] for block in ("reference", "prediction")
        ]
        return {"reason": "so", "verdict": "good" if called[0] == called[1] else "bad"}
    asked = str(request.messages[-1]["content"])
    if "three hours" in asked:
        return {"answer": {"name": "hire_boat", "parameters": {"boat": "Heron", "hours": 3}}}
    return {"answer": {"name": "find_boat", "parameters": {"seats": int(asked.split()[2])}}}


def test_each_call_of_a_test_conversation_is_a_row(boats, seeds, scripted):
    client = scripted(right_call)
    found = evaluate_teacher(boats, seeds, client)
    asked = [request for request in client.asked if request.schema_name == "answer"]
    assert len(found.rows) == len(asked) == 6
    assert len({row.id for row in found.rows}) == 6
    # Right about every first call, wrong about the boat of every second one.
    assert found.predictions().scores("tool_call_equivalence") == [1.0, 0.0] * 3
    # The name of a boat is no prose, so that no judge is needed to decide.
    assert (found.metric, found.score) == ("tool_call_equivalence", 0.5)
    # A tool task below 0.60 is never told to rethink.
    assert found.verdict == "ITERATE"


def test_where_turns_are_not_expanded_a_conversation_is_one_row(boats, seeds, scripted):
    found = evaluate_teacher(unexpanded(boats), seeds, scripted(right_call))
    assert len(found.rows) == 3
    assert [json.loads(row.answer)["name"] for row in found.rows] == ["hire_boat"] * 3


def test_the_original_model_is_scored_on_what_it_logged_at_each_turn(boats, seeds, scripted):
    (original,) = original_predictions(boats, seeds, scripted(right_call))
    assert original.scores("tool_call_equivalence") == [1.0, 0.0] * 3
    assert json.loads(original.rows[1].prediction) == {"name": "hire_boat", "parameters": {"boat": "Swan"}}


def test_the_original_model_of_whole_conversations_is_scored_on_its_last_turn(boats, seeds, scripted):
    (original,) = original_predictions(unexpanded(boats), seeds, scripted(right_call))
    assert original.scores("tool_call_equivalence") == [0.0] * 3


def test_a_row_that_was_not_logged_leaves_the_original_model_out(boats, seeds, scripted):
    own = seeds.test[0].model_copy(update={"logged_answers": ()})
    assert original_predictions(boats, replace(seeds, test=[own, *seeds.test[1:]]), scripted(right_call)) == []


def test_a_student_is_scored_on_the_same_rows(boats, seeds, scripted):
    rows = boats.evaluation_rows(seeds.test)
    written = [Written(id=str(n), text=row.answer, finish_reason="stop") for n, row in enumerate(rows)]
    student = score_student(boats, "sft", written, seeds, scripted(right_call))
    assert student.scores("tool_call_equivalence") == [1.0] * 6
    assert [row.id for row in student.rows] == [row.id for row in rows]


def test_verdicts_that_cannot_be_had_are_counted(boats, seeds, scripted):
    def failing(request):
        return Failed("timeout", "slow", "k") if request.schema_name == "verdict" else right_call(request)

    assert evaluate_teacher(boats, seeds, scripted(failing)).unread_verdicts == 6
    assert evaluate_teacher(boats, seeds, scripted(right_call)).unread_verdicts == 0


def test_where_the_judge_decides_and_says_nothing_there_is_no_evaluation(boats, boat_job, seeds, scripted):
    message = {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]}
    asking = {
        "type": "function",
        "function": {"name": "respond_to_user", "description": "Says.", "parameters": message},
    }
    job = boat_job.model_copy(update={"tools": (*boat_job.tools, asking)})
    prose = replace(boats, description=job, task=type(boats.task)(job))
    assert prose.task.primary_metric == "llm_as_a_judge"

    def failing(request):
        return Failed("timeout", "slow", "k") if request.schema_name == "verdict" else right_call(request)

    with pytest.raises(DataError, match="no score of llm_as_a_judge is known: timeout: slow"):
        evaluate_teacher(prose, seeds, scripted(failing))
