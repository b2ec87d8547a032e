"""Which device a step asks for, and the handler that sends each step there.

Dagster gives a run one executor, so the choice is made inside it: the step-delegating executor hands every step to the
handler of the step's device.
"""

import sys
from collections.abc import Iterator, Mapping

import dagster as dg
from dagster._core.events import DagsterEvent, DagsterEventType, EngineEventData
from dagster._core.execution.plan.objects import StepFailureData
from dagster._core.executor.step_delegating import CheckStepHealthResult, StepHandler, StepHandlerContext
from dagster._utils.error import serializable_error_info_from_exc_info
from dagster_shared.error import SerializableErrorInfo

DEVICE_TAG = "distil/device"
GPU_POOL = "gpu"
ON_GPU: dict[str, str] = {DEVICE_TAG: "gpu"}
ON_CPU: dict[str, str] = {DEVICE_TAG: "cpu"}

_REPORTS = {DagsterEventType.STEP_SUCCESS, DagsterEventType.STEP_FAILURE, DagsterEventType.STEP_UP_FOR_RETRY}


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
        """What the device's handler says; a step that has reported its end may be gone."""
        found = self._handler(step_handler_context).check_step_health(step_handler_context)
        if found.is_healthy or has_reported(step_handler_context):
            return CheckStepHealthResult.healthy()
        return found

    def terminate_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        """End the step on its device, report its end where it could not do that itself, and give up its place in pools.

        An executor that is asked to end does neither, and the place would stay taken until run monitoring frees it.
        """
        yield from self._end(step_handler_context)
        key, storage = step_key(step_handler_context), step_handler_context.instance.event_log_storage
        if not has_reported(step_handler_context):
            error = SerializableErrorInfo("the step was terminated with its run\n", [], None)
            step_context = step_handler_context.get_step_context(key)
            yield DagsterEvent.step_failure_event(step_context, StepFailureData(error, None))
        if storage.supports_global_concurrency_limits:
            storage.free_concurrency_slot_for_step(step_handler_context.execute_step_args.run_id, key)

    def _end(self, context: StepHandlerContext) -> Iterator[DagsterEvent]:
        """The executor ends one step after another: an error raised here would leave those behind it running."""
        try:
            yield from self._handler(context).terminate_step(context)
        except Exception:  # of a cluster's API, of any kind.
            key = step_key(context)
            error = EngineEventData.engine_error(serializable_error_info_from_exc_info(sys.exc_info()))
            yield DagsterEvent.engine_event(
                context.get_step_context(key), f"{key} could not be ended, and may still run: end it by hand", error
            )

    def _handler(self, context: StepHandlerContext) -> StepHandler:
        device = context.step_tags[step_key(context)].get(DEVICE_TAG, "cpu")
        if device not in self._handlers:
            raise dg.DagsterInvariantViolationError(
                f"{step_key(context)}: no executor for the device {device!r}; there are {', '.join(self._handlers)}"
            )
        return self._handlers[device]


def step_key(context: StepHandlerContext) -> str:
    """The key of the one step that a context is about."""
    (key,) = context.execute_step_args.step_keys_to_execute or [""]
    return key


def has_reported(context: StepHandlerContext) -> bool:
    """Whether the present attempt of a step has said how it ended."""
    key, arguments = step_key(context), context.execute_step_args
    earlier = arguments.known_state.get_retry_state().get_attempt_count(key) if arguments.known_state else 0
    entries = context.instance.all_logs(arguments.run_id, of_type=_REPORTS)
    return sum(entry.step_key == key for entry in entries) > earlier
