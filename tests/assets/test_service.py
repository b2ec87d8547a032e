"""Which student is in service after runs that make better and worse ones, and after a rollback."""

import json
import re
import shutil

import dagster as dg
import pytest
from projects import opened_project

from distil_dagster.evaluation.in_service import decide
from distil_dagster.evaluation.served_students import pointer_of, served_student
from distil_dagster.export.bundle import bundle_version
from distil_dagster.traces.ingest import Traces

WEAK, STRONG = 1, 12
"""Epochs after which the tiny student knows nothing, and some of the answers."""


def trained(project, instance, epochs: int, job: str = "retune") -> str:
    """The latest decision after training for so many epochs."""
    result = project.run(job, typed={"tuning": {"num_train_epochs": epochs}}, instance=instance)
    assert result.success
    return pointer_of(project.store, project.partition).history[-1].action


@pytest.fixture(scope="module")
def in_turn(tmp_path_factory, case, small_config):
    """A project whose test rows came with it, after a weak student, a strong one, and the weak one again."""
    root = tmp_path_factory.mktemp("service")
    folder = shutil.copytree(case, root / "job")
    gold = [json.loads(line) for line in (case / "gold.jsonl").read_text().split("\n") if line]
    rows = [{"question": row["question"], "answer": row["answer"]} for row in gold if row["answer"]][-24:]
    (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = {**small_config, "data": {**small_config["data"], "path": str(folder)}}
    with opened_project(root, folder, config) as project, dg.instance_for_test() as instance:
        actions = [
            trained(project, instance, WEAK, job="distil"),
            trained(project, instance, STRONG),
            trained(project, instance, WEAK),
        ]
        yield project, instance, actions


def test_the_first_student_and_a_better_one_go_into_service_and_a_worse_one_does_not(in_turn):
    _, _, actions = in_turn
    assert actions == ["promoted", "promoted", "refused"]


def test_the_history_has_the_scores_on_the_same_rows(in_turn):
    project, _, _ = in_turn
    weak, strong, again = pointer_of(project.store, project.partition).history
    assert weak.version == again.version != strong.version
    assert weak.before is None
    assert strong.score > strong.before == weak.score
    assert again.before == strong.score
    assert re.fullmatch(
        r"Accuracy is 0\.\d+ lower than that of the student in service on 24 rows \(p .*\)", again.reason
    )


def test_the_bundle_in_service_is_the_one_that_was_promoted(in_turn):
    project, _, _ = in_turn
    pointer = pointer_of(project.store, project.partition)
    assert bundle_version(served_student(project.store, project.partition, pointer.current).bundle) == pointer.current


def test_the_traces_of_the_latest_student_are_those_that_later_ones_are_compared_with(in_turn):
    project, _, _ = in_turn
    traces, distilled = (project.store.load(name, project.partition, Traces) for name in ("traces", "distilled_traces"))
    assert distilled == traces


def test_a_refused_student_fails_the_check_with_the_reason(in_turn):
    _, instance, _ = in_turn
    key = dg.AssetCheckKey(dg.AssetKey("in_service"), "newest_student_serves")
    (record,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    evaluation = record.event.dagster_event.asset_check_evaluation_data
    assert not evaluation.passed
    assert "lower than that of the student in service" in evaluation.description


def test_a_pointer_that_is_moved_while_a_student_is_measured_is_left_alone(in_turn, monkeypatch):
    project, instance, _ = in_turn
    before = pointer_of(project.store, project.partition)
    moved = before.after(before.history[0].model_copy(update={"action": "rolled back", "reason": "meanwhile"}))

    def measured_slowly(*arguments):
        project.store.save("in_service", project.partition, moved)
        return decide(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("distil_dagster.assets.service.decide", measured_slowly)
        result = project.run(assets=["in_service"], instance=instance)
    assert not result.success
    assert pointer_of(project.store, project.partition) == moved
    project.store.save("in_service", project.partition, before)


def test_after_a_rollback_no_run_puts_the_withdrawn_student_into_service_again(in_turn, monkeypatch, tmp_path):
    from distil_dagster.cli.in_service import rollback

    project, instance, _ = in_turn
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    weak, strong, _ = pointer_of(project.store, project.partition).history
    assert rollback(str(project.root / "configs" / "letters.yaml"), None, "too sure of itself") == 0
    pointer = pointer_of(project.store, project.partition)
    assert pointer.current == weak.version
    assert pointer.history[-1].reason == "too sure of itself"

    assert trained(project, instance, STRONG) == "refused"
    pointer = pointer_of(project.store, project.partition)
    assert pointer.current == weak.version
    assert pointer.history[-1].version == strong.version
    assert pointer.history[-1].reason.startswith("it was rolled back from")


def test_traces_that_no_student_learned_from_are_not(in_turn):
    project, instance, _ = in_turn
    before = project.store.load("distilled_traces", project.partition, Traces)
    project.set("trace_processing", "num_traces_as_training_base", 20)
    try:
        assert project.run(assets=["traces"], instance=instance).success
        assert project.run(assets=["in_service"], instance=instance).success
    finally:
        project.set("trace_processing", "num_traces_as_training_base", 24)
    assert project.store.load("traces", project.partition, Traces) != before
    assert project.store.load("distilled_traces", project.partition, Traces) == before
    assert project.run(assets=["traces"], instance=instance).success
