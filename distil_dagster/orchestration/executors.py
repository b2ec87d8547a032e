"""The executor of runs that hold CPU and GPU steps: each step goes to the device that its asset names."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.step_delegating import StepDelegatingExecutor, StepHandler

from distil_dagster.orchestration.devices import DEVICE_TAG, GPU_POOL, ON_CPU, ON_GPU, DeviceStepHandler
from distil_dagster.orchestration.executor_config import Settings, default_settings, executor_schema, of_cluster
from distil_dagster.orchestration.local_steps import CommandStepHandler

__all__ = ["DEVICE_TAG", "GPU_POOL", "ON_CPU", "ON_GPU", "default_executor", "device_executor"]

# A look at the event log is one query; starting a step takes about two seconds of its own.
_SECONDS_BETWEEN_LOOKS = 0.2
_SECONDS_BETWEEN_CHECKS = 3


def default_executor() -> dg.ExecutorDefinition:
    """The device executor with the defaults that the file says which DISTIL_EXECUTOR names.

    Raises:
        ConfigError: the file cannot be read or has mistakes.
    """
    return _executor(default_settings())


def _executor(defaults: Settings) -> dg.ExecutorDefinition:
    @dg.executor(
        name="device", config_schema=executor_schema(defaults), requirements=dg.multiple_process_executor_requirements()
    )
    def device(init_context: dg.InitExecutorContext) -> dg.Executor:
        """Runs CPU steps as processes of this machine, and GPU steps where the configuration says."""
        config: Any = init_context.executor_config
        ((kind, settings),) = config["gpu"].items()
        handlers = {
            "cpu": CommandStepHandler("cpu", [], {"CUDA_VISIBLE_DEVICES": ""}),
            "gpu": _gpu_handler(kind, settings or {}, defaults, init_context.instance),
        }
        return StepDelegatingExecutor(
            DeviceStepHandler(handlers),
            retries=RetryMode.from_config(config["retries"]) or RetryMode.ENABLED,
            max_concurrent=config.get("max_concurrent"),
            tag_concurrency_limits=config.get("tag_concurrency_limits"),
            check_step_health_interval_seconds=_SECONDS_BETWEEN_CHECKS,
            sleep_seconds=_SECONDS_BETWEEN_LOOKS,
            # A cluster may start a pod a second time.
            should_verify_step=kind != "local",
        )

    return device


device_executor = _executor({})


def _gpu_handler(kind: str, typed: Settings, defaults: Settings, instance: dg.DagsterInstance) -> StepHandler:
    match kind:
        case "kubernetes":
            from distil_dagster.orchestration.kubernetes_steps import kubernetes_step_handler

            return kubernetes_step_handler(of_cluster(kind, typed, defaults), instance)
        case "ecs":
            from distil_dagster.orchestration.ecs_steps import ecs_step_handler

            return ecs_step_handler(of_cluster(kind, typed, defaults), instance)
        case _:
            environment: Mapping[str, str] = typed["environment"]
            return CommandStepHandler("gpu", list(typed["command"]), environment)
