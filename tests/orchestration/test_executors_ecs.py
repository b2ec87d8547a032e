"""GPU steps as ECS tasks: what ECS is asked for, and what is made of its answers."""

import os
import sys
from pathlib import Path

import dagster as dg
import pytest
from orchestration.device_runs import executed, failure_of, launched, pids_in, wait_until
from orchestration.fake_ecs import FakeEcs, served_ecs

from distil_dagster.errors import ConfigError

ONE_GPU = [{"type": "GPU", "value": "1"}]
STEPS = ("on_gpu", "on_gpu_again")
PLACE = {"cluster": "gpu", "taskDefinition": "distil:7", "launchType": "EC2"}


@pytest.fixture
def ecs(monkeypatch):
    # The image's program `dagster`.
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with served_ecs() as ecs:
        monkeypatch.setenv("AWS_ENDPOINT_URL_ECS", ecs.address)
        yield ecs


@pytest.fixture
def in_a_task(ecs, monkeypatch) -> FakeEcs:
    """The run worker is a task itself."""
    monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", f"{ecs.address}/metadata")
    return ecs


def on_ecs(**settings) -> dict:
    return {"gpu": {"ecs": settings}}


def container_of(asked: dict) -> dict:
    (container,) = asked["overrides"]["containerOverrides"]
    return container


def test_a_gpu_step_is_a_task_and_a_cpu_step_a_process_of_this_machine(ecs):
    with executed("two_devices", on_ecs(run_task_kwargs=PLACE, cpu=4096, memory=32768)) as result:
        assert result.success
        (process,) = ecs.processes.values()
        metadata = [result.asset_materializations_for_node(name)[0].metadata for name in ("on_cpu", "on_gpu")]
        assert [values["pid"].value == process.pid for values in metadata] == [False, True]
        (asked,) = ecs.asked
        tags = {tag["key"]: tag["value"] for tag in asked["tags"]}
        assert (tags["dagster/run_id"], tags["dagster/step-key"]) == (result.run_id, "on_gpu")
    assert {name: asked[name] for name in PLACE} == PLACE
    assert (asked["overrides"]["cpu"], asked["overrides"]["memory"]) == ("4096", "32768")
    container = container_of(asked)
    assert container["name"] == "run"
    assert container["command"] == ["dagster", "api", "execute_step"]
    assert [entry["name"] for entry in container["environment"]] == ["DAGSTER_COMPRESSED_EXECUTE_STEP_ARGS"]
    assert container["resourceRequirements"] == ONE_GPU


def test_each_step_of_a_run_has_its_own_command_beside_the_settings_of_its_container(ecs):
    own = {"name": "train", "environment": [{"name": "STEP_DEVICE", "value": "task"}]}
    settings = {"container_name": "train", "task_overrides": {"containerOverrides": [own]}}
    with executed("two_gpu_steps", on_ecs(run_task_kwargs=PLACE, **settings)) as result:
        assert result.success
        where = [result.asset_materializations_for_node(name)[0].metadata["where"].value for name in STEPS]
        assert where == ["task", "task"]
    assert [len(container_of(asked)["environment"]) for asked in ecs.asked] == [2, 2]
    assert [container_of(asked)["resourceRequirements"] for asked in ecs.asked] == [ONE_GPU, ONE_GPU]


def test_settings_that_name_devices_go_before_the_one_gpu(ecs):
    four = [{"type": "GPU", "value": "4"}]
    overrides = {"containerOverrides": [{"name": "run", "resourceRequirements": four}]}
    ecs.runs, ecs.stopped = False, {"containers": [{"name": "run", "exitCode": 1}]}
    with executed("dies", on_ecs(run_task_kwargs=PLACE, task_overrides=overrides)) as result:
        assert not result.success
    assert container_of(ecs.asked[0])["resourceRequirements"] == four


def test_in_a_task_steps_inherit_its_definition_and_network(in_a_task):
    in_a_task.runs, in_a_task.stopped = False, {"containers": [{"name": "run", "exitCode": 1}]}
    with executed("dies", on_ecs()) as result:
        assert not result.success
    (asked,) = in_a_task.asked
    assert (asked["cluster"], asked["launchType"]) == ("cpu", "EC2")
    assert asked["taskDefinition"].endswith("task-definition/distil:3")
    assert asked["networkConfiguration"]["awsvpcConfiguration"]["subnets"] == ["subnet-1"]
    assert container_of(asked)["resourceRequirements"] == ONE_GPU


def test_a_task_on_fargate_sends_its_steps_to_another_cluster_of_machines_with_gpus(in_a_task):
    in_a_task.launch_type = "FARGATE"
    strategy = [{"capacityProvider": "gpus", "weight": 1}]
    settings = {"cluster": "gpu", "capacityProviderStrategy": strategy}
    with executed("two_devices", on_ecs(run_task_kwargs=settings)) as result:
        assert result.success
    (asked,) = in_a_task.asked
    assert (asked["cluster"], asked["capacityProviderStrategy"]) == ("gpu", strategy)
    assert "launchType" not in asked


def test_on_fargate_there_is_no_gpu_and_the_run_says_so(in_a_task):
    in_a_task.launch_type = "FARGATE"
    with (
        pytest.raises(
            ConfigError, match=r"gpu\.ecs\.run_task_kwargs\.launchType: FARGATE has no GPUs: set launchType to EC2"
        ),
        executed("dies", on_ecs()),
    ):
        pass
    assert not in_a_task.asked


@pytest.mark.parametrize("missing", ["cluster", "taskDefinition"])
def test_outside_ecs_the_settings_must_name_cluster_and_task_definition(ecs, missing):
    place = {name: value for name, value in PLACE.items() if name != missing}
    expected = rf"gpu\.ecs\.run_task_kwargs\.{missing}: is required where the run itself is no ECS task"
    with pytest.raises(ConfigError, match=expected), executed("dies", on_ecs(run_task_kwargs=place)):
        pass


@pytest.mark.parametrize(
    ("stopped", "reason"),
    [
        (
            {
                "stopCode": "EssentialContainerExited",
                "stoppedReason": "Essential container in task exited",
                "containers": [
                    {
                        "name": "run",
                        "exitCode": 137,
                        "reason": "OutOfMemoryError: Container killed due to memory usage",
                    }
                ],
            },
            "container run: OutOfMemoryError: Container killed due to memory usage; exit code 137, SIGKILL",
        ),
        (
            {
                "stopCode": "TaskFailedToStart",
                "stoppedReason": "CannotPullContainerError: no such image",
                "containers": [{"name": "run"}],
            },
            "Stop reason: CannotPullContainerError: no such image",
        ),
        ({"containers": [{"name": "run", "exitCode": 0}]}, "ended without a word of how the step went"),
    ],
)
def test_how_a_task_stopped_is_the_steps_reason(ecs, stopped, reason):
    ecs.runs, ecs.stopped = False, stopped
    with executed("dies", on_ecs(run_task_kwargs=PLACE)) as result:
        assert not result.success
        assert reason in failure_of(result)


def test_a_terminated_run_stops_its_task_and_the_step_ends(ecs, left):
    with (
        dg.instance_for_test() as instance,
        launched("endless", on_ecs(run_task_kwargs=PLACE), instance) as run,
    ):
        pids_in(left / "pids")
        run.terminate()
        wait_until(lambda: run.status == dg.DagsterRunStatus.CANCELED)
        ((arn, process),) = ecs.processes.items()
        process.wait(timeout=30)
    assert [(stop["cluster"], stop["task"]) for stop in ecs.stops] == [("gpu", arn)]
