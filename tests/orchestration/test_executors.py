import os
import sys
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableRepository

from distil_dagster.definitions import defs
from distil_dagster.orchestration.executors import ON_CPU, ON_GPU, device_executor

ROOT = Path(__file__).parents[2]


@dg.asset(op_tags=ON_CPU)
def on_cpu() -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"where": os.environ.get("STEP_DEVICE", "none"), "pid": os.getpid()})


@dg.asset(deps=[on_cpu], op_tags=ON_GPU)
def on_gpu() -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"where": os.environ.get("STEP_DEVICE", "none"), "pid": os.getpid()})


@dg.asset(deps=[on_gpu], op_tags={"distil/device": "abacus"})
def on_nothing() -> None: ...


@dg.asset(op_tags=ON_GPU)
def ends_badly() -> None:
    os._exit(3)


sample = dg.Definitions(
    assets=[on_cpu, on_gpu, on_nothing, ends_badly],
    jobs=[
        dg.define_asset_job("two_devices", selection=["on_cpu", "on_gpu"]),
        dg.define_asset_job("no_such_device", selection=["on_nothing"]),
        dg.define_asset_job("dies", selection=["ends_badly"]),
    ],
    executor=device_executor,
)


@contextmanager
def executed(job: str, config: dict | None = None):
    """The result of a run of a job under its own executor, each step a process of its own."""
    repository = ReconstructableRepository.for_file(__file__, "sample", working_directory=str(Path(__file__).parent))
    run_config = {"execution": {"config": config}} if config else {}
    with (
        dg.instance_for_test() as instance,
        dg.execute_job(repository.get_reconstructable_job(job), instance, run_config=run_config) as result,
    ):
        yield result


def test_each_step_runs_where_its_device_says():
    # `env` stands for a command such as srun: it starts what follows.
    with executed("two_devices", {"gpu": {"local": {"command": ["env", "STEP_DEVICE=gpu"]}}}) as result:
        assert result.success
        shown = {name: result.asset_materializations_for_node(name)[0].metadata for name in ("on_cpu", "on_gpu")}
        assert {name: values["where"].value for name, values in shown.items()} == {"on_cpu": "none", "on_gpu": "gpu"}
        assert len({values["pid"].value for values in shown.values()} | {os.getpid()}) == 3


def test_a_device_without_an_executor_fails_the_run():
    with executed("no_such_device") as result:
        assert not result.success


def test_a_step_whose_process_dies_fails_the_run_with_the_reason():
    with executed("dies") as result:
        assert not result.success
        (failure,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
        assert "its process ended with code 3" in str(failure)


def test_gpu_assets_share_one_pool_and_cpu_assets_have_none():
    graph = defs.resolve_asset_graph()
    pools = {key.to_user_string(): graph.get(key).pools for key in graph.get_all_asset_keys()}
    on_pool = {name for name, pools_of in pools.items() if pools_of == {"gpu"}}
    assert on_pool == {"sft_adapter", "rlvr_adapter", "eval_report", "model_bundle"}


def test_the_checkout_is_loadable_as_a_code_location():
    dg.Definitions.validate_loadable(defs)
    assert (ROOT / "workspace.yaml").is_file()
    assert sys.version_info >= (3, 11)
