import json
from dataclasses import replace

import pytest
from safetensors.torch import load_file

from distil_dagster.assets.delivery import ModelBundle
from distil_dagster.assets.training import Adapter, delivered
from distil_dagster.evaluation.artefacts import EvalReport

SETTINGS = {
    "tuning": {
        # So tiny a student is seldom right, and a judge who finds nothing good teaches nothing.
        "num_train_epochs": 12,
        "rlvr_dataset_size": 0.3,
        "rlvr_num_generations": 8,
        "rlvr_per_device_batch_size": 16,
        "rlvr_num_train_epochs": 4,
    }
}
DATA = ["traces", "filtered_traces", "relabelled_traces", "seed_data", "synthetic_dataset"]


def metadata(result, asset: str) -> dict:
    (event,) = result.asset_materializations_for_node(asset)
    return {key: value.value for key, value in event.metadata.items()}


def questions_in(project, asset: str, *names: str) -> list[str]:
    """The last prompt messages of all rows that an asset's training was given."""
    work = project.store.work_folder(asset, project.partition)
    lines = [line for name in names for path in work.glob(f"*/{name}") for line in path.read_text().split("\n") if line]
    return [json.loads(line)["prompt"][-1]["content"] for line in lines]


@pytest.fixture(scope="module")
def reinforced(shared_project):
    """A project in which RLVR was on, and the run's result."""
    assets = [*DATA, "teacher_evaluation", "sft_adapter", "rlvr_adapter", "eval_report"]
    return shared_project, shared_project.run(typed=SETTINGS, assets=assets)


def test_rlvr_has_its_share_of_the_examples_and_sft_the_rest(reinforced):
    project, result = reinforced
    assert result.success
    sft, rlvr = metadata(result, "sft_adapter"), metadata(result, "rlvr_adapter")
    assert sft["examples_kept_for_rlvr"] == rlvr["examples"] == round(0.3 * (sft["examples"] + rlvr["examples"]))
    tuned = questions_in(project, "sft_adapter", "train.jsonl", "eval.jsonl")
    judged = questions_in(project, "rlvr_adapter", "rows.jsonl")
    assert (len(tuned), len(judged)) == (sft["examples"], rlvr["examples"])
    assert not set(tuned) & set(judged)


def test_the_judges_rewards_change_the_adapter_of_sft(reinforced):
    project, result = reinforced
    sft, rlvr = (project.store.load(name, project.partition, Adapter) for name in ("sft_adapter", "rlvr_adapter"))
    before, after = (load_file(adapter.weights / "adapter_model.safetensors") for adapter in (sft, rlvr))
    assert before.keys() == after.keys()
    assert any((before[name] != after[name]).any() for name in before)
    assert (sft.stage, rlvr.stage) == ("sft", "rlvr")
    shown = metadata(result, "rlvr_adapter")
    # Two prompts a step, eight completions each.
    rewards = [point.reward for point in rlvr.curve if point.reward is not None]
    assert shown["steps"] == len(rewards) == shown["examples"] // 2 * 4
    assert (shown["judgements"], shown["failed_judgements"]) == (16 * shown["steps"], 0)
    assert shown["final_reward"] == rewards[-1]
    assert 0 < shown["good_judgements"] < shown["judgements"]
    # The simulated judge makes no mistakes.
    assert shown["agreement"] == 1.0
    assert shown["reward_curve"].startswith("![reward](data:image/png;base64,")
    assert shown["length_curve"].startswith("![length](data:image/png;base64,")


def test_it_is_measured_on_what_sft_held_back(reinforced):
    project, result = reinforced
    held_back = questions_in(project, "sft_adapter", "eval.jsonl")
    assert held_back == questions_in(project, "rlvr_adapter", "held_out.jsonl")
    assert not set(held_back) & set(questions_in(project, "rlvr_adapter", "rows.jsonl"))
    assert metadata(result, "rlvr_adapter")["held_out_rows"] == len(held_back)
    (check,) = [
        event.event_specific_data
        for event in result.all_events
        if event.event_type_value == "ASSET_CHECK_EVALUATION"
        and event.event_specific_data.check_name == "reward_means_quality"
    ]
    assert check.passed


def test_the_better_student_on_held_out_rows_is_delivered_and_the_report_says_why(reinforced):
    project, result = reinforced
    rlvr = project.store.load("rlvr_adapter", project.partition, Adapter)
    measured = [point.held_out for point in rlvr.curve if point.held_out is not None]
    better = "rlvr" if measured[-1] > measured[0] else "sft"
    assert rlvr.ships == (better == "rlvr")
    report = project.store.load("eval_report", project.partition, EvalReport)
    assert report.shipped == metadata(result, "eval_report")["delivered"] == better
    assert report.tuned == report.mean(better)
    text = (report.report / "report.md").read_text()
    assert f"({better.upper()}) is delivered." in text
    assert "rows that no training saw was" in text


@pytest.mark.parametrize("helped", [True, False])
def test_the_bundle_holds_the_student_that_is_delivered(reinforced, helped):
    project, _ = reinforced
    sft, rlvr = (project.store.load(name, project.partition, Adapter) for name in ("sft_adapter", "rlvr_adapter"))
    assert delivered(sft, replace(rlvr, ships=helped)).stage == ("rlvr" if helped else "sft")
    project.store.save("rlvr_adapter", project.partition, replace(rlvr, ships=helped))
    assert project.run(typed=SETTINGS, assets=["model_bundle"]).success
    bundle = project.store.load("model_bundle", project.partition, ModelBundle)
    assert bundle.same_answers
    taken, shipped = bundle.bundle / "model-adapters", rlvr if helped else sft
    assert equal_files(taken / "adapter_model.safetensors", shipped.weights / "adapter_model.safetensors")


def equal_files(one, other) -> bool:
    return one.read_bytes() == other.read_bytes()


def test_the_report_shows_the_reward_and_scores_the_student_before_and_after(reinforced):
    project, _ = reinforced
    report = project.store.load("eval_report", project.partition, EvalReport)
    assert [row.role for row in report.summary] == ["original", "teacher", "base", "sft", "rlvr"]
    html = (report.report / "report.html").read_text()
    assert "Loss of SFT" in html
    assert "Reward of RLVR, and what it is worth" in html
    assert "Length of completions in RLVR" in html


def test_what_was_reinforced_before_is_taken_again(reinforced):
    project, first = reinforced
    bought = project.teacher.stats()["requests"]
    again = project.run(typed=SETTINGS, assets=["rlvr_adapter"])
    assert again.success
    assert metadata(again, "rlvr_adapter")["reward_curve"] == metadata(first, "rlvr_adapter")["reward_curve"]
    assert project.teacher.stats()["requests"] == bought


def test_an_sft_adapter_that_may_have_learned_what_rlvr_is_measured_on_is_refused(reinforced):
    project, _ = reinforced
    other = {"tuning": SETTINGS["tuning"] | {"rlvr_dataset_size": 0.4}}
    result = project.run(typed=other, assets=["rlvr_adapter"])
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "sft_adapter was trained under other settings" in str(failure.step_failure_data.error)
