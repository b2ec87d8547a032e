"""What the sensor and the schedule of new traces request, and what follows on a check."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg
import pytest
import yaml
from projects import opened_project

from distil_dagster.definitions import defs
from distil_dagster.errors import ConfigError
from distil_dagster.orchestration.inputs import data_files
from distil_dagster.orchestration.new_traces import (
    new_traces_schedule,
    new_traces_sensor,
    redistillation,
    seconds_between_looks,
)
from distil_dagster.orchestration.partitions import add_partitions
from distil_dagster.traces.ingest import Traces


@pytest.fixture
def folder(tmp_path, case):
    return shutil.copytree(case, tmp_path / "job")


@pytest.fixture
def project(tmp_path, folder, small_config):
    config = {**small_config, "data": {**small_config["data"], "path": str(folder)}}
    with opened_project(tmp_path, folder, config) as project:
        yield project


@pytest.fixture
def instance(project):
    with dg.instance_for_test() as instance:
        add_partitions(instance, [project.partition])
        yield instance


class Sensor:
    """Looks as Dagster's daemon has it look: with the cursor of the look before, each run key once."""

    def __init__(self, instance):
        self._instance, self._cursor, self._keys = instance, None, set()

    def look(self) -> list[str]:
        context = dg.build_sensor_context(instance=self._instance, cursor=self._cursor, definitions=defs)
        result = new_traces_sensor(context)
        self._cursor = result.cursor
        new = [request for request in result.run_requests or [] if request.run_key not in self._keys]
        self._keys |= {request.run_key for request in new}
        return [request.partition_key for request in new]


@pytest.fixture
def sensor(instance):
    return Sensor(instance)


def grow(folder, lines: int = 1) -> None:
    with (folder / "traces.jsonl").open("a", encoding="utf-8") as file:
        for number in range(lines):
            turns = [{"role": "user", "content": f"new {number}"}, {"role": "assistant", "content": "bills"}]
            file.write(json.dumps({"messages": turns}) + "\n")


def distilled(project, instance) -> None:
    """The traces as a distillation leaves them that came to its end."""
    assert project.run(assets=["traces"], instance=instance).success
    project.store.save("distilled_traces", project.partition, project.store.load("traces", project.partition, Traces))
    made(project, instance, "seed_data", "synthetic_dataset", "sft_adapter", "model_bundle", "in_service")


def made(project, instance, *assets: str) -> None:
    for asset in assets:
        instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=project.partition))


def test_what_was_there_at_the_first_look_starts_nothing(sensor):
    assert [sensor.look() for _ in range(3)] == [[], [], []]


def test_a_grown_file_is_requested_once_it_is_the_same_in_two_looks(sensor, folder):
    sensor.look()
    grow(folder)
    assert sensor.look() == []
    grow(folder)
    assert sensor.look() == []
    assert sensor.look() == ["letters"]


def test_no_file_is_requested_twice(sensor, folder):
    sensor.look()
    grow(folder)
    assert [sensor.look() for _ in range(4)] == [[], ["letters"], [], []]


def test_a_file_that_is_dropped_into_an_empty_folder_is_requested(sensor, folder):
    held = (folder / "traces.jsonl").read_bytes()
    (folder / "traces.jsonl").unlink()
    sensor.look()
    (folder / "traces.jsonl").write_bytes(held)
    assert [sensor.look(), sensor.look()] == [[], ["letters"]]


def test_a_file_that_is_removed_requests_nothing(sensor, folder):
    sensor.look()
    (folder / "traces.jsonl").unlink()
    assert [sensor.look() for _ in range(3)] == [[], [], []]


def test_every_configuration_that_uses_the_traces_is_requested(sensor, project, folder):
    shutil.copy(project.root / "configs" / "letters.yaml", project.root / "configs" / "second.yaml")
    sensor.look()
    grow(folder)
    assert [sensor.look(), sorted(sensor.look())] == [[], ["letters", "second"]]


def test_a_configuration_that_wants_no_distillation_is_not_requested(sensor, project, folder):
    project.set("data", "redistil_on", "never")
    sensor.look()
    grow(folder)
    assert [sensor.look() for _ in range(3)] == [[], [], []]


def test_traces_that_were_distilled_are_not_new(sensor, instance, project, folder):
    distilled(project, instance)
    assert [sensor.look() for _ in range(3)] == [[], [], []]
    grow(folder)
    assert [sensor.look(), sensor.look()] == [[], ["letters"]]


def test_traces_that_came_while_nobody_looked_are_new_at_the_first_look(sensor, instance, project, folder):
    distilled(project, instance)
    grow(folder)
    assert [sensor.look(), sensor.look()] == [[], ["letters"]]


def test_a_distillation_that_failed_on_its_way_distilled_nothing(sensor, instance, project, folder):
    distilled(project, instance)
    grow(folder)
    assert project.run(assets=["traces"], instance=instance).success
    assert [sensor.look(), sensor.look()] == [[], ["letters"]]


@pytest.mark.parametrize("later", [["in_service"], ["sft_adapter", "model_bundle", "in_service"]])
def test_neither_a_rollback_nor_a_retune_of_older_data_makes_that_good(sensor, instance, project, folder, later):
    distilled(project, instance)
    grow(folder)
    assert project.run(assets=["traces"], instance=instance).success
    made(project, instance, *later)
    assert [sensor.look(), sensor.look()] == [[], ["letters"]]


def test_a_file_that_is_gone_and_comes_again_is_looked_at_for_the_first_time(sensor, project, folder):
    config = project.root / "configs" / "letters.yaml"
    held = config.read_bytes()
    sensor.look()
    config.unlink()
    sensor.look()
    grow(folder)
    config.write_bytes(held)
    assert [sensor.look() for _ in range(3)] == [[], [], []]


def test_trouble_that_nobody_foresaw_keeps_no_other_configuration_from_being_requested(
    sensor, project, folder, monkeypatch
):
    shutil.copy(project.root / "configs" / "letters.yaml", project.root / "configs" / "broken.yaml")
    sensor.look()
    grow(folder)

    def trouble(config):
        if config.name == "broken":
            raise RecursionError
        return data_files(config)

    monkeypatch.setattr("distil_dagster.orchestration.new_traces.data_files", trouble)
    assert [sensor.look(), sensor.look()] == [[], ["letters"]]


@pytest.mark.parametrize(("wanted", "seconds"), [(None, 30), ("", 30), ("5", 5)])
def test_the_environment_says_how_often_the_sensor_looks(monkeypatch, wanted, seconds):
    monkeypatch.delenv("DISTIL_LOOK_EVERY", raising=False)
    if wanted is not None:
        monkeypatch.setenv("DISTIL_LOOK_EVERY", wanted)
    assert seconds_between_looks() == seconds


@pytest.mark.parametrize("wanted", ["0", "-1", "30s", "1.5"])
def test_an_interval_that_is_none_is_named(monkeypatch, wanted):
    monkeypatch.setenv("DISTIL_LOOK_EVERY", wanted)
    with pytest.raises(ConfigError, match=r"environment: DISTIL_LOOK_EVERY: must be whole seconds from 1"):
        seconds_between_looks()


def test_a_configuration_that_cannot_be_read_for_once_is_remembered(sensor, project, folder):
    held = (folder / "traces.jsonl").read_bytes()
    (folder / "traces.jsonl").unlink()
    sensor.look()
    config = project.root / "configs" / "letters.yaml"
    text = config.read_text()
    config.write_text("base: [")
    (folder / "traces.jsonl").write_bytes(held)
    assert sensor.look() == []
    config.write_text(text)
    assert [sensor.look(), sensor.look()] == [[], ["letters"]]


def test_nothing_is_requested_while_a_run_of_the_configuration_goes_on(sensor, instance, folder):
    sensor.look()
    grow(folder)
    job = defs.resolve_job_def("distil")
    run = instance.create_run_for_job(job, tags={"dagster/partition": "letters"}, status=dg.DagsterRunStatus.STARTED)
    assert [sensor.look(), sensor.look()] == [[], []]
    instance.report_run_canceled(run)
    assert sensor.look() == ["letters"]


def test_a_configuration_with_mistakes_does_not_keep_others_from_being_requested(sensor, project, folder):
    (project.root / "configs" / "broken.yaml").write_text(yaml.safe_dump({"base": {"task": "sorting"}}))
    sensor.look()
    grow(folder)
    assert [sensor.look(), sensor.look()] == [[], ["letters"]]


def nightly(instance) -> list[str]:
    context = dg.build_schedule_context(instance=instance, scheduled_execution_time=datetime.now(UTC))
    return [request.partition_key for request in new_traces_schedule(context) if isinstance(request, dg.RunRequest)]


def test_the_schedule_requests_what_is_other_than_what_was_distilled(instance, project, folder):
    assert nightly(instance) == []
    distilled(project, instance)
    assert nightly(instance) == []
    grow(folder)
    assert nightly(instance) == ["letters"]


def checked(project, instance, **tags) -> list[dg.RunRequest]:
    """The requests that follow on a check of traces in a run with these tags."""
    assert project.run(job="check_traces", instance=instance, tags=tags).success
    return list(redistillation(dg.build_sensor_context(instance=instance, definitions=defs)).run_requests)


def test_a_check_that_finds_drift_is_followed_by_a_distillation(instance, project, folder):
    distilled(project, instance)
    with (folder / "traces.jsonl").open("a", encoding="utf-8") as file:
        for number in range(60):
            text = f"Wo bleibt eigentlich meine Sendung mit der Nummer {number}, die ich vorgestern bestellt habe?"
            turns = [{"role": "user", "content": text}, {"role": "assistant", "content": "parcels"}]
            file.write(json.dumps({"messages": turns}) + "\n")
    (request,) = checked(project, instance, **{"distil/cause": "new_traces"})
    assert request.partition_key == "letters"
    assert request.tags["distil/cause"] == "new_traces"


def test_each_of_two_checks_between_two_looks_has_its_distillation(instance, project):
    for name in ("one", "two"):
        shutil.copy(project.root / "configs" / "letters.yaml", project.root / "configs" / f"{name}.yaml")
    cause = {"distil/cause": "new_traces"}
    for name in ("one", "two"):
        other = replace(project, partition=name)
        assert other.run(job="check_traces", instance=instance, tags=cause).success
    result = redistillation(dg.build_sensor_context(instance=instance, definitions=defs))
    assert [request.partition_key for request in result.run_requests] == ["one", "two"]
    again = redistillation(dg.build_sensor_context(instance=instance, definitions=defs, cursor=result.cursor))
    assert not again.run_requests


def test_a_check_that_a_person_started_is_followed_by_nothing(instance, project):
    assert checked(project, instance) == []


def test_a_check_that_finds_nothing_worth_it_is_followed_by_nothing(instance, project, folder):
    distilled(project, instance)
    grow(folder, lines=3)
    assert checked(project, instance, **{"distil/cause": "new_traces"}) == []


def test_traces_that_were_checked_are_not_requested_again(sensor, instance, project, folder):
    distilled(project, instance)
    grow(folder)
    checked(project, instance, **{"distil/cause": "new_traces"})
    assert [sensor.look() for _ in range(3)] == [[], [], []]
