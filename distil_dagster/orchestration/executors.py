"""One run, two kinds of machines: each step goes to the device that its asset names.

Dagster gives a run one executor, so the choice is made inside it: the step-delegating executor hands every step to the
handler of the step's device.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from dagster._core.events import DagsterEvent, EngineEventData
from dagster._core.execution.retries import RetryMode, get_retries_config
from dagster._core.execution.tags import get_tag_concurrency_limits_config
from dagster._core.executor.step_delegating import (
    CheckStepHealthResult,
    StepDelegatingExecutor,
    StepHandler,
    StepHandlerContext,
)

DEVICE_TAG = "distil/device"
GPU_POOL = "gpu"
ON_GPU: dict[str, str] = {DEVICE_TAG: "gpu"}
ON_CPU: dict[str, str] = {DEVICE_TAG: "cpu"}


class CommandStepHandler(StepHandler):
    """Starts each step as a process of this machine, under a command prefix such as `srun --gres=gpu:1`."""

    def __init__(self, device: str, prefix: list[str], environment: Mapping[str, str]) -> None:
        self._device, self._prefix, self._environment = device, prefix, environment
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def name(self) -> str:
        """The name that events of the run show."""
        return f"CommandStepHandler({self._device})"

    def launch_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        """Start the step."""
        key = _step_key(step_handler_context)
        arguments = step_handler_context.execute_step_args
        environment = {
            **os.environ,
            **self._environment,
            **{entry["name"]: entry["value"] for entry in arguments.get_command_env()},
        }
        # Not the script `dagster`, which is on no path where the environment was not activated.
        command = [*self._prefix, sys.executable, "-m", *arguments.get_command_args()]
        process = subprocess.Popen(command, env=environment)
        self._processes[key] = process
        yield DagsterEvent.step_worker_starting(
            step_handler_context.get_step_context(key),
            message=f"{key} runs on the {self._device} as process {process.pid}",
            metadata={"device": self._device, "pid": process.pid},
        )

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        """A step is unhealthy once its process ended in any way but the good one."""
        process = self._processes.get(_step_key(step_handler_context))
        if process is None:
            return CheckStepHealthResult.unhealthy("its process was started by a run worker that is gone")
        code = process.poll()
        if code in (None, 0):
            return CheckStepHealthResult.healthy()
        return CheckStepHealthResult.unhealthy(_ending(code))

    def terminate_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        """Ask the step's process to end."""
        key = _step_key(step_handler_context)
        yield DagsterEvent.engine_event(
            step_handler_context.get_step_context(key), f"Terminating {key}", EngineEventData()
        )
        if key in self._processes:
            self._processes[key].terminate()


class DeviceStepHandler(StepHandler):
    """Hands each step to the handler of its device; a step that names none runs on the CPU."""

    def __init__(self, handlers: Mapping[str, StepHandler]) -> None:
        self._handlers = handlers

    @property
    def name(self) -> str:
        """The name that events of the run show."""
        return "DeviceStepHandler"

    def launch_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        """Start the step on its device."""
        yield from self._handler(step_handler_context).launch_step(step_handler_context)

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        """What the device's handler says."""
        return self._handler(step_handler_context).check_step_health(step_handler_context)

    def terminate_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        """End the step on its device."""
        yield from self._handler(step_handler_context).terminate_step(step_handler_context)

    def _handler(self, context: StepHandlerContext) -> StepHandler:
        device = context.step_tags[_step_key(context)].get(DEVICE_TAG, "cpu")
        if device not in self._handlers:
            raise dg.DagsterInvariantViolationError(
                f"{_step_key(context)}: no executor for the device {device!r}; there are {', '.join(self._handlers)}"
            )
        return self._handlers[device]


def _step_key(context: StepHandlerContext) -> str:
    (key,) = context.execute_step_args.step_keys_to_execute or [""]
    return key


def _ending(code: int) -> str:
    return f"its process was ended by signal {-code}" if code < 0 else f"its process ended with code {code}"


_SCHEMA = {
    "max_concurrent": dg.Field(dg.Int, is_required=False, description="Most steps of one run at a time."),
    "gpu_command": dg.Field(
        [str], default_value=[], description="The command that GPU steps are started under, e.g. [srun, --gres=gpu:1]."
    ),
    "gpu_environment": dg.Field(
        dg.Permissive(), default_value={}, description="Environment of GPU steps, e.g. CUDA_VISIBLE_DEVICES."
    ),
    "retries": get_retries_config(),
    "tag_concurrency_limits": get_tag_concurrency_limits_config(),
}


@dg.executor(name="device", config_schema=_SCHEMA, requirements=dg.multiple_process_executor_requirements())
def device_executor(init_context: dg.InitExecutorContext) -> dg.Executor:
    """Runs CPU steps as processes of this machine, and GPU steps where the configuration says."""
    config: Any = init_context.executor_config
    handlers = {
        "cpu": CommandStepHandler("cpu", [], {"CUDA_VISIBLE_DEVICES": ""}),
        "gpu": CommandStepHandler("gpu", list(config["gpu_command"]), dict(config["gpu_environment"])),
    }
    return StepDelegatingExecutor(
        DeviceStepHandler(handlers),
        retries=RetryMode.from_config(config["retries"]) or RetryMode.ENABLED,
        max_concurrent=config.get("max_concurrent"),
        tag_concurrency_limits=config.get("tag_concurrency_limits"),
        check_step_health_interval_seconds=5,
        sleep_seconds=0.2,
    )
