"""Each step runs on its device, and a step that ends badly says how."""

import os
import sys
from pathlib import Path

import dagster as dg
import pytest
from orchestration.device_runs import executed, failure_of

from distil_dagster.definitions import defs
from distil_dagster.orchestration.executors import DEVICE_TAG, GPU_POOL

ROOT = Path(__file__).parents[2]


def metadata_of(result: dg.JobExecutionResult, *names: str) -> list[dict]:
    return [
        {key: value.value for key, value in result.asset_materializations_for_node(name)[0].metadata.items()}
        for name in names
    ]


def test_each_step_runs_where_its_device_says():
    # `env` stands for a command such as srun: it starts what follows.
    gpu = {"local": {"command": ["env", "STEP_DEVICE=gpu"], "environment": {"CUDA_VISIBLE_DEVICES": "1"}}}
    with executed("two_devices", {"gpu": gpu}) as result:
        assert result.success
        cpu, gpu = metadata_of(result, "on_cpu", "on_gpu")
        assert (cpu["where"], cpu["gpus"]) == ("none", "")
        assert (gpu["where"], gpu["gpus"]) == ("gpu", "1")
        assert len({cpu["pid"], gpu["pid"], os.getpid()}) == 3


def test_without_settings_gpu_steps_are_processes_of_this_machine():
    with executed("two_devices") as result:
        assert result.success
        (gpu,) = metadata_of(result, "on_gpu")
        assert (gpu["where"], gpu["ppid"]) == ("none", os.getpid())


def test_a_step_whose_input_is_not_the_run_workers_still_runs(left, capfd):
    command = ["sh", "-c", 'exec "$@" </dev/null', "sh"]
    with executed("two_devices", {"gpu": {"local": {"command": command}}}) as result:
        assert result.success
    assert "standard input is not the run worker's" in capfd.readouterr().err


def test_a_device_without_an_executor_fails_the_run():
    with executed("no_such_device") as result:
        assert not result.success


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (3, "its process ended with exit code 3"),
        (0, "its process ended without a word of how the step went"),
        (-9, "exit code 137, SIGKILL: killed by the system, most likely because the machine ran out of memory"),
        (-11, "exit code 139, SIGSEGV: a native library crashed"),
    ],
)
def test_a_step_whose_process_dies_fails_with_the_reason(monkeypatch, code, reason):
    monkeypatch.setenv("EXIT_CODE", str(code))
    with executed("dies") as result:
        assert not result.success
        assert reason in failure_of(result)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["false"], "its process ended with exit code 1"),
        (["true"], "its process ended without a word"),
        (["sh", "-c", "kill -9 $$"], "exit code 137, SIGKILL"),
        # As a shell reports how its child ended.
        (["sh", "-c", "exit 137"], "exit code 137, SIGKILL"),
    ],
)
def test_a_step_that_dies_before_it_starts_fails_with_the_reason(command, reason):
    with executed("dies", {"gpu": {"local": {"command": command}}}) as result:
        assert not result.success
        assert reason in failure_of(result)


def test_a_command_that_cannot_be_started_is_named():
    with executed("dies", {"gpu": {"local": {"command": ["no-such-command"]}}}) as result:
        assert not result.success
        (failure,) = [event for event in result.all_events if event.is_failure]
        error = failure.job_failure_data.error.to_string()
        assert "gpu.local.command: no-such-command: cannot be started: No such file or directory" in error


def test_a_killed_step_is_tried_again_where_its_policy_says_so(left):
    with executed("dies_once") as result:
        assert result.success
        kinds = [event.event_type for event in result.all_events]
        assert kinds.count(dg.DagsterEventType.STEP_UP_FOR_RETRY) == 1
        (again,) = [event for event in result.all_events if event.is_step_up_for_retry]
        assert "exit code 137, SIGKILL" in again.step_retry_data.error.to_string()


def test_gpu_assets_share_one_pool_and_cpu_assets_have_none():
    graph = defs.resolve_asset_graph()
    nodes = [node for key in graph.get_all_asset_keys() if (node := graph.get(key)).is_executable]
    on_gpu = {node.key.to_user_string() for node in nodes if node.assets_def.op.tags.get(DEVICE_TAG) == "gpu"}
    assert on_gpu >= {"sft_adapter", "rlvr_adapter", "eval_report", "model_bundle"}
    assert {node.key.to_user_string() for node in nodes if node.pools == {GPU_POOL}} == on_gpu
    assert {node.key.to_user_string() for node in nodes if not node.pools}.isdisjoint(on_gpu)


def test_the_checkout_is_loadable_as_a_code_location():
    dg.Definitions.validate_loadable(defs)
    assert (ROOT / "workspace.yaml").is_file()
    assert sys.version_info >= (3, 11)
