"""Jobs for the device executor, loaded from this file by the processes of runs and steps."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg

from distil_dagster.orchestration.executors import GPU_POOL, ON_CPU, ON_GPU, device_executor
from distil_dagster.orchestration.worker import run_worker
from distil_dagster.training.job import read_job

# Where a test finds what its steps leave, and where steps find what the test gives.
FOLDER_VARIABLE = "DEVICE_JOBS_FOLDER"


def folder() -> Path:
    return Path(os.environ[FOLDER_VARIABLE])


def _place() -> dg.MaterializeResult:
    shown = {"where": os.environ.get("STEP_DEVICE", "none"), "gpus": os.environ.get("CUDA_VISIBLE_DEVICES", "all")}
    return dg.MaterializeResult(metadata={**shown, "pid": os.getpid(), "ppid": os.getppid()})


@dg.asset(op_tags=ON_CPU)
def on_cpu() -> dg.MaterializeResult:
    return _place()


@dg.asset(deps=[on_cpu], op_tags=ON_GPU)
def on_gpu() -> dg.MaterializeResult:
    return _place()


@dg.asset(deps=[on_gpu], op_tags=ON_GPU)
def on_gpu_again() -> dg.MaterializeResult:
    return _place()


@dg.asset(op_tags={"distil/device": "abacus"})
def on_nothing() -> None: ...


@dg.asset(op_tags=ON_GPU)
def ends_badly() -> None:
    """With a code, or where it is negative by a signal."""
    code = int(os.environ["EXIT_CODE"])
    if code < 0:
        os.kill(os.getpid(), -code)
    os._exit(code)


@dg.asset(op_tags=ON_GPU, retry_policy=dg.RetryPolicy(max_retries=1))
def ends_badly_once() -> None:
    if not (folder() / "tried").exists():
        (folder() / "tried").touch()
        os.kill(os.getpid(), signal.SIGKILL)


@dg.asset(op_tags=ON_GPU, pool=GPU_POOL)
def waits() -> None:
    """Says which processes it has made, and waits in vain."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (folder() / "pids.new").write_text(f"{os.getpid()} {child.pid}")
    (folder() / "pids.new").rename(folder() / "pids")
    time.sleep(600)


@dg.asset(op_tags=ON_GPU, pool=GPU_POOL)
def ignores_requests() -> None:
    """Cannot be interrupted: only a kill ends it."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    (folder() / "pids").write_text(str(os.getpid()))
    while True:
        time.sleep(1)


@dg.asset(op_tags=ON_GPU, pool=GPU_POOL, partitions_def=dg.StaticPartitionsDefinition(["letters"]))
def trained(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    run_worker(context, read_job(folder() / "sft.json"), folder() / "work")
    return dg.MaterializeResult()


sample = dg.Definitions(
    assets=[on_cpu, on_gpu, on_gpu_again, on_nothing, ends_badly, ends_badly_once, waits, ignores_requests, trained],
    jobs=[
        dg.define_asset_job("two_devices", selection=["on_cpu", "on_gpu"]),
        dg.define_asset_job("two_gpu_steps", selection=["on_gpu", "on_gpu_again"]),
        dg.define_asset_job("no_such_device", selection=["on_nothing"]),
        dg.define_asset_job("dies", selection=["ends_badly"]),
        dg.define_asset_job("dies_once", selection=["ends_badly_once"]),
        dg.define_asset_job("endless", selection=["waits"]),
        dg.define_asset_job("deaf", selection=["ignores_requests"]),
        dg.define_asset_job("two_endless", selection=["waits", "ignores_requests"]),
        dg.define_asset_job("training", selection=["trained"]),
    ],
    executor=device_executor,
)
