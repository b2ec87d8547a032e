"""What the step handlers of both clusters share: how they see a step that was started by another run launcher."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import dagster as dg
from dagster._core.execution.context.system import IStepContext
from dagster._core.executor.step_delegating import StepHandlerContext
from dagster._core.launcher import RunLauncher
from dagster._core.origin import DEFAULT_DAGSTER_ENTRY_POINT
from dagster._core.storage.dagster_run import DagsterRun
from dagster._grpc.types import ExecuteStepArgs
from dagster_shared.record import replace

# Settings of the libraries' executors that are of the whole executor here, not of one device.
_OF_THE_EXECUTOR = {"retries", "max_concurrent", "tag_concurrency_limits", "step_dependency_config"}


def settings_of(executor: dg.ExecutorDefinition) -> dict[str, dg.Field]:
    """The settings that a library's executor has for where and how its steps run."""
    shape = cast("dg.Shape", executor.config_schema.config_type)
    return {name: field for name, field in shape.fields.items() if name not in _OF_THE_EXECUTOR}


class SeenByLibrary(StepHandlerContext):
    """A step as a library's handler is to see it: with a run launcher of the kind that it insists on.

    Where the run itself was launched otherwise, say on a server outside the cluster, `launcher` is one that says
    nothing, and the step is started by the program `dagster` of its image, not by this machine's Python.
    """

    def __init__(self, context: StepHandlerContext, launcher: RunLauncher) -> None:
        self._context, self._launcher = context, launcher

    @property
    def execute_step_args(self) -> ExecuteStepArgs:
        """What the step's program is given."""
        arguments = self._context.execute_step_args
        if self._context.instance.run_launcher is self._launcher:
            return arguments
        origin = arguments.job_origin
        repository = origin.repository_origin._replace(entry_point=DEFAULT_DAGSTER_ENTRY_POINT)
        return replace(arguments, job_origin=origin._replace(repository_origin=repository))

    @property
    def dagster_run(self) -> DagsterRun:
        """The step's run."""
        return self._context.dagster_run

    @property
    def step_tags(self) -> Mapping[str, Mapping[str, str]]:
        """The tags of each step."""
        return self._context.step_tags

    @property
    def instance(self) -> dg.DagsterInstance:
        """Of the instance, what the libraries' handlers read."""
        return cast("Any", SimpleNamespace(run_launcher=self._launcher))

    def get_step_context(self, step_key: str) -> IStepContext:
        """Where events of the step are logged."""
        return self._context.get_step_context(step_key)
