"""The sensor that follows the folder of configurations."""

import dagster as dg
import pytest
import yaml
from projects import opened_project

from distil_dagster.definitions import defs
from distil_dagster.errors import DistilError
from distil_dagster.orchestration.following import configurations
from distil_dagster.orchestration.inputs import INPUTS, observed_version, versions_now
from distil_dagster.orchestration.partitions import configs

DESCRIPTION = '{"task_description": "Sort.", "classes_description": {"a": "One.", "b": "Another."}}'


@pytest.fixture
def project(tmp_path, case, small_config):
    with opened_project(tmp_path, case, small_config) as project:
        yield project


@pytest.fixture
def instance():
    with dg.instance_for_test() as instance:
        yield instance


@pytest.fixture
def look(instance):
    """One look of the sensor, its events stored as Dagster's daemon stores them."""

    def look() -> dg.SensorResult:
        result = configurations(dg.build_sensor_context(instance=instance, definitions=defs))
        for event in result.asset_events:
            instance.report_runless_asset_event(event)
        return result

    return look


def partitions(instance) -> list[str]:
    return sorted(instance.get_dynamic_partitions(configs.name))


def test_a_file_that_is_added_becomes_a_partition(project, instance, look, small_config):
    look()
    assert partitions(instance) == ["letters"]
    (project.root / "configs" / "parcels.yaml").write_text(yaml.safe_dump(small_config))
    look()
    assert partitions(instance) == ["letters", "parcels"]


def test_the_inputs_of_a_new_configuration_are_observed_once(project, instance, look):
    assert {event.asset_key.path[1] for event in look().asset_events} == set(INPUTS)
    assert look().asset_events == []


def test_only_the_input_that_changed_is_observed_again(project, instance, look):
    look()
    before = observed_version(instance, "letters", "tuning")
    project.set("tuning", "lora_r", 4)
    (event,) = look().asset_events
    assert event.asset_key == dg.AssetKey(["inputs", "tuning"])
    assert observed_version(instance, "letters", "tuning") != before


def test_a_file_that_is_removed_keeps_its_partition_and_its_history(project, instance, look):
    look()
    instance.report_runless_asset_event(dg.AssetMaterialization("seed_data", partition="letters"))
    (project.root / "configs" / "letters.yaml").unlink()
    look()
    assert partitions(instance) == ["letters"]
    assert instance.get_materialized_partitions(dg.AssetKey("seed_data")) == {"letters"}


def test_two_files_of_one_stem_are_an_error_that_names_both_once_the_others_are_taken(
    project, instance, look, small_config
):
    (project.root / "configs" / "letters.json").write_text("{}")
    (project.root / "configs" / "parcels.yaml").write_text(yaml.safe_dump(small_config))
    look()
    assert partitions(instance) == ["parcels"]
    with pytest.raises(DistilError, match=r"letters\.json and .*letters\.yaml would both be the partition letters"):
        look()


def test_a_configuration_with_mistakes_is_a_partition_and_nothing_of_it_is_observed(project, instance, look):
    project.set("tuning", "lora_r", "many")
    assert look().asset_events == []
    assert partitions(instance) == ["letters"]


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
def test_nothing_is_observed_of_a_configuration_while_a_run_of_it_waits_or_goes_on(project, instance, look, status):
    look()
    run = instance.create_run_for_job(
        defs.resolve_job_def("distil"), tags={"dagster/partition": "letters"}, status=status
    )
    project.set("tuning", "lora_r", 4)
    assert look().asset_events == []
    instance.report_run_canceled(run)
    assert len(look().asset_events) == 1


def test_a_file_that_may_not_be_read_keeps_no_other_configuration_from_being_observed(
    project, instance, look, small_config, tmp_path, monkeypatch
):
    folder = tmp_path / "closed"
    folder.mkdir()
    (folder / "job_description.json").write_text(DESCRIPTION)
    closed = small_config | {"data": small_config["data"] | {"path": str(folder)}}
    (project.root / "configs" / "closed.yaml").write_text(yaml.safe_dump(closed))

    def refuse(place, client=None):
        if str(place) == str(folder):
            raise PermissionError(13, "Permission denied", str(folder / "traces.jsonl"))
        return {}

    monkeypatch.setattr("distil_dagster.orchestration.inputs.job_files", refuse)
    assert {event.partition for event in look().asset_events} == {"letters"}


def test_trouble_that_nobody_foresaw_keeps_no_other_configuration_from_being_observed(
    project, instance, look, small_config, monkeypatch
):
    (project.root / "configs" / "broken.yaml").write_text(yaml.safe_dump(small_config))

    def trouble(path, typed=None):
        if path.stem == "broken":
            raise RecursionError
        return versions_now(path, typed)

    monkeypatch.setattr("distil_dagster.orchestration.following.versions_now", trouble)
    assert {event.partition for event in look().asset_events} == {"letters"}


def test_how_a_provider_is_reached_is_no_input(project, instance, look):
    model = {"model": "openai/simulated/{name}", "api_key_env": "NO_KEY_NEEDED", "extra": {"seed": 1}}
    project.set("data", "models", {"*": model})
    look()
    reached = {
        "extra_headers": {"X-Team": "blue"},
        "timeout": 5,
        "api_key": {"env": "OTHER"},
        "input_cost_per_token": 1,
    }
    project.set("data", "models", {"*": {**model, "base_url": "http://elsewhere", "extra": {"seed": 1, **reached}}})
    assert look().asset_events == []
    project.set("data", "models", {"*": {**model, "extra": {"seed": 2}}})
    assert {event.asset_key.path[1] for event in look().asset_events} == {"teacher", "judge", "trace_processing"}
