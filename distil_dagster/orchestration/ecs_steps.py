"""GPU steps as ECS tasks, started by dagster-aws's own step handler.

The run worker may be an ECS task, whose task definition and network the steps then inherit; or a process elsewhere,
where the settings name cluster and task definition.
"""

import copy
import os
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import dagster as dg
from dagster._core.events import DagsterEvent
from dagster._core.executor.step_delegating import CheckStepHealthResult, StepHandlerContext
from dagster_aws.ecs import EcsRunLauncher, ecs_executor
from dagster_aws.ecs.executor import EcsStepHandler

from distil_dagster.errors import ConfigError, Problem
from distil_dagster.orchestration.cluster_steps import SeenByLibrary, settings_of
from distil_dagster.training.endings import ending

Settings = Mapping[str, Any]

SCHEMA = {
    **settings_of(ecs_executor),
    "container_name": dg.Field(
        dg.StringSource,
        default_value="run",
        description="The container of the task definition that runs the step, where the run launcher does not say.",
    ),
}
_ONE_GPU = [{"type": "GPU", "value": "1"}]
# Set by ECS in every task.
_IN_A_TASK = "ECS_CONTAINER_METADATA_URI_V4"
_NEEDED_OUTSIDE = ("cluster", "taskDefinition")


def ecs_step_handler(settings: Settings, instance: dg.DagsterInstance) -> "EcsTaskStepHandler":
    """The handler for a run of an instance.

    Raises:
        ConfigError: the settings leave out what no task is there to inherit from, or ask for a GPU where there is none.
    """
    launcher = instance.run_launcher
    if not isinstance(launcher, EcsRunLauncher):
        launcher = EcsRunLauncher(container_name=settings["container_name"])
    if _IN_A_TASK in os.environ:
        return EcsTaskStepHandler(settings, launcher)
    return EcsTaskStepHandlerOutside(settings, launcher)


class EcsTaskStepHandler(EcsStepHandler):
    """Dagster's handler for a run worker that is an ECS task, with one GPU a step unless told otherwise."""

    def __init__(self, settings: Settings, launcher: EcsRunLauncher) -> None:
        super().__init__(
            run_launcher=launcher,
            run_task_kwargs=settings.get("run_task_kwargs"),
            cpu=settings.get("cpu"),
            memory=settings.get("memory"),
            ephemeral_storage=settings.get("ephemeral_storage"),
            task_overrides=settings.get("task_overrides"),
        )
        self._take(settings, launcher)

    def _take(self, settings: Settings, launcher: EcsRunLauncher) -> None:
        self._launcher = launcher
        if "capacityProviderStrategy" in settings.get("run_task_kwargs", {}):
            # ECS takes either; this one would be the run worker's own.
            self._run_task_kwargs.pop("launchType", None)
        # The library looks for its tasks in the run worker's cluster, which may be another.
        self._cluster_arn = self._run_task_kwargs.get("cluster", self._cluster_arn)
        containers = settings.get("task_overrides", {}).get("containerOverrides", [])
        says_which = any("resourceRequirements" in container for container in containers)
        self._devices: dict[str, Any] = {} if says_which else {"resourceRequirements": _ONE_GPU}
        if self._devices and self._run_task_kwargs.get("launchType") == "FARGATE":
            raise _wrong("launchType", "FARGATE has no GPUs: set launchType to EC2, or a capacityProviderStrategy")

    def launch_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        """Run the step's task."""
        yield from super().launch_step(self._seen(step_handler_context))

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        """A step is unhealthy once its task has stopped."""
        seen = self._seen(step_handler_context)
        found = super().check_step_health(seen)
        arn = self._launched_tasks.get(self._get_step_id(seen))
        tasks = self.ecs.describe_tasks(tasks=[arn], cluster=self._cluster_arn).get("tasks", []) if arn else []
        if not found.is_healthy:
            reasons = [str(found.unhealthy_reason).rstrip(), *(reason for task in tasks for reason in _endings(task))]
            return CheckStepHealthResult.unhealthy("\n".join(reasons))
        if tasks and tasks[0]["lastStatus"] == "STOPPED":
            return CheckStepHealthResult.unhealthy(f"task {arn} ended without a word of how the step went")
        return found

    def terminate_step(  # type: ignore[override] # the library's gives nothing, where the executor expects events
        self, step_handler_context: StepHandlerContext
    ) -> Iterator[DagsterEvent]:
        """Stop the step's task; ECS gives it its time to end."""
        super().terminate_step(self._seen(step_handler_context))
        yield from ()

    def _seen(self, context: StepHandlerContext) -> StepHandlerContext:
        return SeenByLibrary(context, self._launcher)

    def _get_task_overrides(self, step_tags: Mapping[str, str]) -> dict[str, Any]:
        # The library writes a step's command into the settings themselves, and refuses the next step for it.
        return copy.deepcopy(super()._get_task_overrides(step_tags))

    def _get_container_overrides(self, step_tags: Mapping[str, str]) -> dict[str, Any]:
        return {**self._devices, **super()._get_container_overrides(step_tags)}


class EcsTaskStepHandlerOutside(EcsTaskStepHandler):
    """The same for a run worker that is no ECS task: nothing is inherited, so the settings must name all."""

    def __init__(self, settings: Settings, launcher: EcsRunLauncher) -> None:
        asked = settings.get("run_task_kwargs", {})
        for name in _NEEDED_OUTSIDE:
            if name not in asked:
                raise _wrong(name, "is required where the run itself is no ECS task")
        self.ecs = boto3.client("ecs")
        self._cpu, self._memory = (str(settings[name]) if name in settings else None for name in ("cpu", "memory"))
        self._ephemeral_storage = settings.get("ephemeral_storage")
        self._task_overrides = settings.get("task_overrides", {})
        self._cluster_arn = asked["cluster"]
        self._run_task_kwargs = {**launcher.run_task_kwargs, **asked}
        self._launched_tasks = {}
        self._take(settings, launcher)


def _wrong(name: str, message: str) -> ConfigError:
    return ConfigError([Problem("run config", None, f"execution.config.gpu.ecs.run_task_kwargs.{name}", message)])


def _endings(task: Mapping[str, Any]) -> Iterator[str]:
    """How a task's containers ended, where that is not well, beyond what the library says."""
    for container in task.get("containers", []):
        code, reason = container.get("exitCode"), container.get("reason")
        if code != 0:
            parts = [part for part in (reason, ending(code) if code is not None else None) if part]
            yield f"container {container['name']}: {'; '.join(parts) or 'never started'}"
