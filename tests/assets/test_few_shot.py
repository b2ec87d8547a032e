"""Worked examples in the student's prompt: the same ones wherever it is trained, asked or delivered."""

import json

import pytest

from distil_dagster.traces.seeds import SeedData

SETTINGS = {"tuning": {"num_few_shot_examples_student": 1}}


@pytest.fixture(scope="module")
def shown(shared_project):
    """A project in which the student is shown examples, and the run's result."""
    return shared_project, shared_project.run(typed=SETTINGS)


def prompts(project, asset: str, pattern: str) -> list[list[dict]]:
    work = project.store.work_folder(asset, project.partition)
    lines = [line for path in work.glob(pattern) for line in path.read_text().split("\n") if line]
    return [json.loads(line)["prompt"] for line in lines]


def test_every_row_shows_the_same_example_of_each_class(shown):
    project, result = shown
    assert result.success
    trained = prompts(project, "sft_adapter", "*/train.jsonl") + prompts(project, "sft_adapter", "*/eval.jsonl")
    asked = prompts(project, "eval_report", "*/rows.jsonl") + prompts(project, "model_bundle", "*/rows.jsonl")
    assert trained
    assert asked
    before = {json.dumps(prompt[:-1]) for prompt in (*trained, *asked)}
    assert len(before) == 1
    system, *turns = json.loads(before.pop())
    assert system["role"] == "system"
    assert sorted(turn["content"] for turn in turns[1::2]) == ["bills", "garden", "parcels"]


def test_what_is_shown_is_a_training_seed_and_trained_on_no_more(shown):
    project, _ = shown
    questions = [turn["content"] for turn in prompts(project, "sft_adapter", "*/train.jsonl")[0][1:-1:2]]
    seeds = project.store.load("seed_data", project.partition, SeedData)
    assert set(questions) < {example.question for example in seeds.train}
    trained = prompts(project, "sft_adapter", "*/train.jsonl") + prompts(project, "sft_adapter", "*/eval.jsonl")
    assert not set(questions) & {prompt[-1]["content"] for prompt in trained}


def test_the_bundle_brings_the_examples_and_answers_as_evaluated(shown):
    project, result = shown
    bundle = project.store.folder("model_bundle", project.partition) / "bundle"
    shots = json.loads((bundle / "prompt.json").read_text())["shots"]
    assert shots == prompts(project, "eval_report", "*/rows.jsonl")[0][1:-1]
    assert all(shot["content"] in (bundle / "Modelfile").read_text() for shot in shots)
    (check,) = [
        check for check in result.get_asset_check_evaluations() if check.check_name == "bundle_answers_as_evaluated"
    ]
    assert check.passed
