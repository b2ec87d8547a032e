"""Which assets a changed configuration makes stale, as Dagster itself tells it from an instance."""

import json
import shutil

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest
from projects import opened_project

from distil_dagster.config.parts import PARTS, part_of
from distil_dagster.config.sections import Base, Evaluation, Synthgen, TraceProcessing, Tuning
from distil_dagster.definitions import defs
from distil_dagster.orchestration.inputs import observe, versions_now

TRACES = {"traces", "filtered_traces", "relabelled_traces", "seed_data"}
TRAINING = {"sft_adapter", "rlvr_adapter"}
ALL = TRACES | TRAINING | {"teacher_evaluation", "synthetic_dataset", "eval_report", "model_bundle", "in_service"}

# What is changed in the file: the assets that are stale then, and no others.
TABLE = {
    "base.random_seed": (8, ALL),
    "base.teacher_model_name": ("deepseek.v3.1", {"teacher_evaluation", "synthetic_dataset"}),
    "base.student_model_name": ("Qwen3-0.6B", {"sft_adapter"}),
    "base.llm_num_parallel_requests": (2, set()),
    "trace_processing.num_traces_as_training_base": (20, TRACES),
    "trace_processing.min_relevance_score": (2, TRACES),
    "trace_processing.relabelling_committee_models": (["openai.gpt-oss-20b"], TRACES),
    "synthgen.generation_target": (19, {"synthetic_dataset"}),
    "synthgen.basic_mutators_to_use": (["length"], {"synthetic_dataset"}),
    "synthgen.output_is_json": (True, ALL),
    "synthgen.validation_max_total_length": (9000, ALL),
    "tuning.learning_rate": (1e-3, TRAINING),
    "tuning.rlvr_num_generations": (2, TRAINING),
    "evaluation.num_few_shot_examples": (2, {"teacher_evaluation", "eval_report"}),
    "evaluation.llm_as_a_judge_model_name": ("deepseek.v3.1", {"teacher_evaluation", "eval_report", "rlvr_adapter"}),
    "data.students": ({"SmolLM2-135M-Instruct": "weights-org/another-student"}, {"sft_adapter"}),
    "data.budget_usd": (5, set()),
    "data.models": (
        {"openai.gpt-oss-120b": {"model": "openai/other", "api_key_env": "NO_KEY_NEEDED"}},
        {"teacher_evaluation", "synthetic_dataset", "eval_report", "rlvr_adapter"},
    ),
}


def stale(instance: dg.DagsterInstance, partition: str) -> set[str]:
    graph = defs.resolve_asset_graph()
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    keys = [key for key in graph.materializable_asset_keys if graph.get(key).is_partitioned]
    return {key.to_user_string() for key in keys if resolver.get_status(key, partition) == StaleStatus.STALE}


@pytest.fixture
def after(finished, tmp_path, small_config):
    """Lays changes over the configuration and tells what is stale then; in the end the configuration is as it was."""
    project, _, instance = finished

    def seen_with(sections: dict) -> set[str]:
        content = {
            name: {**small_config.get(name, {}), **sections.get(name, {})} for name in {*small_config, *sections}
        }
        path = tmp_path / "changed.yaml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        observe(instance, project.partition, versions_now(path))
        return stale(instance, project.partition)

    yield seen_with
    seen_with({})


def test_after_a_run_nothing_is_stale(after):
    assert after({}) == set()


@pytest.mark.parametrize("setting", TABLE)
def test_a_changed_setting_makes_stale_what_reads_it_and_nothing_else(after, setting):
    section, _, key = setting.partition(".")
    value, expected = TABLE[setting]
    assert after({section: {key: value}}) == expected
    assert after({}) == set()


def test_another_task_makes_everything_stale(after, tmp_path, case):
    folder = shutil.copytree(case, tmp_path / "job")
    description = json.loads((folder / "job_description.json").read_text())
    (folder / "job_description.json").write_text(json.dumps(description | {"input_description": "Letters."}))
    assert after({"base": {"task": "question-answering"}, "data": {"path": str(folder)}}) == ALL


def test_a_changed_job_description_makes_everything_stale(after, tmp_path, case):
    folder = shutil.copytree(case, tmp_path / "job")
    description = json.loads((folder / "job_description.json").read_text())
    (folder / "job_description.json").write_text(json.dumps(description | {"task_description": "Sort the letters."}))
    assert after({"data": {"path": str(folder)}}) == ALL


def test_new_traces_make_stale_what_reads_files(after, tmp_path, case):
    folder = shutil.copytree(case, tmp_path / "job")
    with (folder / "traces.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"messages": []}\n')
    assert after({"data": {"path": str(folder)}}) == {"traces", "seed_data"}


def test_the_same_data_elsewhere_makes_nothing_stale(after, tmp_path, case):
    assert after({"data": {"path": str(shutil.copytree(case, tmp_path / "job"))}}) == set()


def test_other_traces_make_stale_step_by_step_what_is_made_of_them(tmp_path, case, small_config):
    folder = shutil.copytree(case, tmp_path / "job")
    config = small_config | {"data": small_config["data"] | {"path": str(folder)}}
    with opened_project(tmp_path, case, config) as project, dg.instance_for_test() as instance:
        assert project.run(assets=["traces", "filtered_traces", "relabelled_traces"], instance=instance).success
        lines = (folder / "traces.jsonl").read_text().splitlines(keepends=True)
        (folder / "traces.jsonl").write_text("".join(lines[3:]))
        assert project.run(assets=["traces"], instance=instance).success
        assert stale(instance, project.partition) == {"filtered_traces"}
        assert project.run(assets=["filtered_traces"], instance=instance).success
        assert stale(instance, project.partition) == {"relabelled_traces"}


def test_another_student_makes_stale_its_report_and_its_bundle(finished, tmp_path):
    project, _, instance = finished
    unchanged = (project.root / "configs" / "letters.yaml").read_text()
    project.set("tuning", "learning_rate", 5e-3)
    try:
        assert project.run(assets=["sft_adapter"], instance=instance).success
        assert stale(instance, project.partition) == {"rlvr_adapter", "eval_report", "model_bundle"}
    finally:
        (project.root / "configs" / "letters.yaml").write_text(unchanged)
        assert project.run(assets=["sft_adapter"], instance=instance).success
    assert stale(instance, project.partition) == set()


def test_without_a_seed_what_is_made_anew_is_another(tmp_path, case, small_config):
    config = small_config | {"base": small_config["base"] | {"random_seed": None}}
    with opened_project(tmp_path, case, config) as project, dg.instance_for_test() as instance:
        assert project.run(assets=["traces", "filtered_traces"], instance=instance).success
        assert project.run(assets=["traces"], instance=instance).success
        assert stale(instance, project.partition) == {"filtered_traces"}


def test_what_is_made_anew_of_the_same_makes_nothing_stale(finished):
    project, _, instance = finished
    graph = defs.resolve_asset_graph()
    for key in graph.toposorted_asset_keys:
        if key in graph.materializable_asset_keys and key.path != ["leaderboard"]:
            assert project.run(assets=[key.to_user_string()], instance=instance).success
            assert stale(instance, project.partition) == set(), key


def test_what_was_made_under_a_typed_setting_is_stale_against_the_file(tmp_path, case, small_config):
    with opened_project(tmp_path, case, small_config) as project, dg.instance_for_test() as instance:
        typed = {"trace_processing": {"num_traces_as_training_base": 20}}
        result = project.run(assets=["traces"], typed=typed, instance=instance)
        assert result.success
        (event,) = result.asset_materializations_for_node("traces")
        shown = event.metadata["settings/trace_processing"].value
        assert shown["num_traces_as_training_base"] == 20
        assert shown["num_traces_as_testing_base"] == small_config["trace_processing"]["num_traces_as_testing_base"]
        assert stale(instance, project.partition) == set()
        observe(instance, project.partition, versions_now(project.root / "configs" / "letters.yaml"))
        assert stale(instance, project.partition) == {"traces"}


def test_every_setting_belongs_to_a_part_that_some_asset_reads():
    sections = {
        "base": Base,
        "tuning": Tuning,
        "evaluation": Evaluation,
        "synthgen": Synthgen,
        "trace_processing": TraceProcessing,
    }
    parts = {part_of(section, key) for section, kind in sections.items() for key in kind.model_fields}
    graph = defs.resolve_asset_graph()
    read = {key.path[1] for key in graph.external_asset_keys if graph.get(key).child_keys}
    assert parts - {None} == set(PARTS)
    assert read == {*PARTS, "data_files"}
