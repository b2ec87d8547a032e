import json
import os
import shutil

import dagster as dg
import pytest

from distil_dagster.evaluation.artefacts import EvalReport
from distil_dagster.synthesis.rows import SyntheticDataset
from distil_dagster.traces.ingest import Traces
from distil_dagster.traces.relabel import RelabelledTraces
from distil_dagster.traces.relevance import FilteredTraces
from distil_dagster.traces.seeds import SeedData

ASSETS = [
    "traces",
    "filtered_traces",
    "relabelled_traces",
    "seed_data",
    "teacher_evaluation",
    "synthetic_dataset",
    "sft_adapter",
    "rlvr_adapter",
    "eval_report",
    "model_bundle",
    "in_service",
]


def gold(case) -> list[dict]:
    return [json.loads(line) for line in (case / "gold.jsonl").read_text().split("\n") if line]


def metadata(result, asset: str) -> dict:
    (event,) = result.asset_materializations_for_node(asset)
    return {key: value.value for key, value in event.metadata.items()}


def test_one_run_materializes_every_asset_and_every_check_is_evaluated(finished):
    _, result, _ = finished
    assert result.success
    assert all(result.asset_materializations_for_node(asset) for asset in ASSETS)
    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert checks.keys() == {
        "min_generated_examples",
        "train_and_test_are_apart",
        "class_coverage",
        "target_reached",
        "reward_means_quality",
        "teacher_verdict",
        "student_not_below_original",
        "bundle_answers_as_evaluated",
        "newest_student_serves",
    }
    assert checks["bundle_answers_as_evaluated"]
    assert checks["teacher_verdict"]


def test_every_line_of_the_trace_file_is_accounted_for(finished, case):
    project, _, _ = finished
    traces = project.store.load("traces", project.partition, Traces)
    assert traces.lines == len(gold(case)) == len(traces.rows) + len(traces.set_aside)


def test_the_filter_drops_exactly_what_does_not_belong(finished, case):
    project, _, _ = finished
    noise = {row["line"]: row["noise"] for row in gold(case)}
    filtered = project.store.load("filtered_traces", project.partition, FilteredTraces)
    assert {row.kept for row in filtered.rows} == {True, False}
    assert all(row.kept == (noise[row.line] != "irrelevant") for row in filtered.rows)


def test_every_label_is_right_after_relabelling(finished, case):
    project, _, _ = finished
    right = {row["line"]: row["answer"] for row in gold(case)}
    relabelled = project.store.load("relabelled_traces", project.partition, RelabelledTraces)
    assert relabelled.rows
    assert all(row.answer == right[row.line] for row in relabelled.rows)
    assert any(row.logged_answer != row.answer for row in relabelled.rows)
    assert all(len(row.votes) == 2 for row in relabelled.rows)


def test_seeds_and_synthetic_rows_keep_away_from_the_test_set(finished):
    project, _, _ = finished
    seeds = project.store.load("seed_data", project.partition, SeedData)
    dataset = project.store.load("synthetic_dataset", project.partition, SyntheticDataset)
    tested = {example.question for example in seeds.test}
    assert len(dataset.accepted) == 18
    assert not tested & {example.question for example in seeds.train}
    assert not tested & {row.as_example().question for row in dataset.accepted}


def test_the_report_compares_four_models_on_the_same_rows(finished):
    project, _, _ = finished
    report = project.store.load("eval_report", project.partition, EvalReport)
    assert [row.role for row in report.summary] == ["original", "teacher", "base", "sft"]
    assert report.mean("teacher") == 1.0
    assert 0.5 < report.mean("original") < 1.0
    assert "simulator" in report.notices[0]
    for role in ("original", "teacher", "base", "sft"):
        lines = (report.report / "predictions" / f"{role}.jsonl").read_text().split("\n")[:-1]
        assert len(lines) == report.rows
        assert {"question", "answer", "prediction", "context", "accuracy", "llm_as_a_judge"} <= json.loads(
            lines[0]
        ).keys()
    html = (report.report / "report.html").read_text()
    assert "Confusion matrix" in html
    assert "simulator" in html


def test_people_see_counts_curves_and_settings_in_the_metadata(finished):
    _, result, _ = finished
    assert metadata(result, "traces")["lines"] == 90
    assert "irrelevant" in metadata(result, "filtered_traces")["dropped_traces"]
    training = metadata(result, "sft_adapter")
    assert training["loss_curve"].startswith("![loss](data:image/png;base64,")
    assert (
        "parcels" in training["mask_audit"] or "bills" in training["mask_audit"] or "garden" in training["mask_audit"]
    )
    assert training["settings/tuning"]["lora_r"] == 8
    assert metadata(result, "eval_report")["models"].count("\n") == 5


def test_the_loss_is_observed_while_training_runs(finished):
    project, _, instance = finished
    events = instance.fetch_observations(dg.AssetKey("sft_adapter"), limit=10).records
    assert events
    assert events[0].partition_key == project.partition
    assert "loss" in events[0].asset_observation.metadata or "eval_loss" in events[0].asset_observation.metadata


def test_rlvr_that_is_off_says_so_and_points_at_the_sft_adapter(finished):
    project, result, _ = finished
    assert "RLVR is off" in metadata(result, "rlvr_adapter")["note"]
    weights = [
        project.store.folder(asset, project.partition) / "weights" / "adapter_model.safetensors"
        for asset in ("sft_adapter", "rlvr_adapter")
    ]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_the_bundle_is_a_folder_that_stands_alone(finished):
    project, _, _ = finished
    bundle = project.store.folder("model_bundle", project.partition) / "bundle"
    names = {path.name for path in bundle.iterdir()}
    assert names >= {"model", "model-adapters", "Modelfile", "model_client.py", "README.md"}
    assert (bundle / "model" / "model.safetensors").is_file()


def test_nothing_is_bought_twice_when_everything_runs_again(finished):
    project, _, instance = finished
    before = project.teacher.stats()["requests"]
    again = project.run(instance=instance)
    assert again.success
    assert project.teacher.stats()["requests"] == before
    assert metadata(again, "synthetic_dataset")["answers_bought"] == 0
    assert metadata(again, "synthetic_dataset")["answers_from_journal"] > 0


def test_a_report_that_is_made_anew_is_new_as_a_whole_and_leaves_the_old_one_as_it_is(finished, tmp_path):
    project, _, instance = finished
    report = project.store.folder("eval_report", project.partition) / "report"
    os.link(report / "report.md", tmp_path / "report.md")
    left_over = project.store.work_folder("eval_report", project.partition) / "report" / "predictions" / "rlvr.jsonl"
    left_over.touch()
    assert project.run(assets=["eval_report"], instance=instance).success
    assert not (report / "report.md").samefile(tmp_path / "report.md")
    assert not (report / "predictions" / "rlvr.jsonl").exists()


def test_the_leaderboard_ranks_what_has_a_report(finished):
    project, _, instance = finished
    result = project.run("rank", instance=instance)
    assert result.success
    assert project.partition in metadata(result, "leaderboard")["leaderboard"]


def test_what_is_typed_in_the_launchpad_goes_before_the_file_key_by_key(project):
    result = project.run(typed={"trace_processing": {"num_traces_as_testing_base": 5}}, assets=["traces"])
    assert result.success
    shown = metadata(result, "traces")
    assert (shown["train_seeds"], shown["test_seeds"]) == (24, 5)
    assert shown["settings/trace_processing"]["num_traces_as_testing_base"] == 5


def test_too_few_examples_stop_the_run_with_the_counts(project):
    result = project.run(
        typed={"trace_processing": {"min_generated_examples": 25}},
        assets=["traces", "filtered_traces", "relabelled_traces", "seed_data"],
    )
    assert not result.success
    (check,) = [check for check in result.get_asset_check_evaluations() if check.check_name == "min_generated_examples"]
    assert "fewer than trace_processing.min_generated_examples = 25: 24 drawn" in check.description
    assert not result.asset_materializations_for_node("seed_data")


def test_a_folder_without_traces_runs_on_its_own_train_and_test_files(project, case, tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    shutil.copy(case / "job_description.json", folder)
    rows = [{"question": row["question"], "answer": row["answer"]} for row in gold(case) if row["answer"]]
    for name, part in (("train", rows[:20]), ("test", [*rows[20:50], rows[0]])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    project.set("data", "path", str(folder))
    result = project.run(assets=["traces", "filtered_traces", "relabelled_traces", "seed_data"])
    assert result.success
    assert "no traces.jsonl" in metadata(result, "traces")["note"]
    seeds = metadata(result, "seed_data")
    # The row that stands in both files is tested, and so not trained on.
    assert (seeds["train"], seeds["test"], seeds["set_aside"]) == (19, 31, 1)


@pytest.mark.parametrize(
    "typed", [{"base": {"teacher_model_name": "nobody"}}, {"synthgen": {"teacher_temperature": 0.9}}]
)
def test_a_typed_mistake_fails_the_run_before_anything_is_spent(project, typed):
    result = project.run(typed=typed, assets=["traces"])
    assert not result.success
    assert project.teacher.stats()["requests"] == 0
