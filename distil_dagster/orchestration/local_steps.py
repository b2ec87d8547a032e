"""Steps as processes of this machine, each in a session of its own and tied to the run worker that starts it."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from dagster._core.events import DagsterEvent, EngineEventData
from dagster._core.executor.step_delegating import CheckStepHealthResult, StepHandler, StepHandlerContext

from distil_dagster.errors import DistilError
from distil_dagster.orchestration.devices import step_key
from distil_dagster.training.endings import ending, signal_of

# Of the 30 seconds that Kubernetes and ECS give a run worker to end, which ends its steps one after another. Those that
# listen take far less; a third that does not ends with the run worker's container or by its pipe to it.
_SECONDS_TO_END = 10.0
# Dead ones count as long as nobody has asked for them, and in a container that may be never.
_SECONDS_TO_VANISH = 2.0
_LOOK_EVERY = 0.05
_KEPT = "what it had paid for and its last checkpoint are kept, and a retry goes on from there"


class CommandStepHandler(StepHandler):
    """Starts each step as a process of this machine, under a command prefix such as `srun --gres=gpu:1`."""

    def __init__(self, device: str, prefix: list[str], environment: Mapping[str, str]) -> None:
        self._device, self._prefix, self._environment = device, prefix, environment
        self._started: dict[str, StepProcess] = {}

    @property
    def name(self) -> str:
        """The name that events of the run show."""
        return f"CommandStepHandler({self._device})"

    def launch_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        """Start the step."""
        key = step_key(step_handler_context)
        arguments = {
            entry["name"]: entry["value"] for entry in step_handler_context.execute_step_args.get_command_env()
        }
        started = start_step(self._prefix, {**os.environ, **self._environment, **arguments})
        self._started[key] = started
        yield DagsterEvent.step_worker_starting(
            step_handler_context.get_step_context(key),
            message=f"{key} runs on the {self._device} as process {started.pid}",
            metadata={"device": self._device, "pid": started.pid},
        )

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        """A step is unhealthy once its process has ended; whether it had reported is the caller's to ask."""
        started = self._started.get(step_key(step_handler_context))
        if started is None:
            return CheckStepHealthResult.unhealthy("its process was started by a run worker that is gone")
        code = started.exit_code()
        return CheckStepHealthResult.healthy() if code is None else CheckStepHealthResult.unhealthy(_ending(code))

    def terminate_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        """End the step with all that it has started; back when it is gone."""
        key = step_key(step_handler_context)
        yield DagsterEvent.engine_event(
            step_handler_context.get_step_context(key), f"Terminating {key}", EngineEventData()
        )
        started = self._started.pop(key, None)
        if started is not None:
            started.end()


@dataclass(frozen=True)
class StepProcess:
    """A step at work: the process that leads its session, and our end of the pipe that ties it to us."""

    process: subprocess.Popen[bytes]
    tie: int

    @property
    def pid(self) -> int:
        """Of the process that leads: that of the command prefix, where that does not give way to the step."""
        return self.process.pid

    def exit_code(self) -> int | None:
        """The code that the step has ended with; none while it runs."""
        return self.process.poll()

    def end(self) -> None:
        """End the whole group, which nobody else is in: asked first, killed after a grace.

        A command that took the step to another session, or to another machine, hands on the end of its input.
        """
        self._signal(signal.SIGTERM)
        if not _came_true(self._is_gone, _SECONDS_TO_END):
            self._signal(signal.SIGKILL)
            _came_true(self._is_gone, _SECONDS_TO_VANISH)
        os.close(self.tie)

    def _is_gone(self) -> bool:
        # Polled, so that it is no zombie, which would still count as a member of the group.
        self.process.poll()
        return not self._signal(0)

    def _signal(self, number: int) -> bool:
        """Whether there was anyone to signal."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return False
        except PermissionError:
            # A prefix such as sudo has made the processes another user's; the end of their input reaches them.
            return self.process.returncode is None
        return True


def start_step(prefix: list[str], environment: Mapping[str, str]) -> StepProcess:
    """Start the step that the environment describes, under a command prefix.

    Raises:
        DistilError: the prefix names no program that can be started.
    """
    reading, tie = os.pipe()
    # Says that the pipe is ours, before this process can be killed.
    os.write(tie, b"\n")
    command = [*prefix, sys.executable, "-m", "distil_dagster.orchestration.tied_step"]
    try:
        process = subprocess.Popen(command, env=environment, stdin=reading, start_new_session=True)
    except OSError as error:
        os.close(tie)
        raise DistilError(f"gpu.local.command: {shlex.join(prefix)}: cannot be started: {error.strerror}") from error
    finally:
        os.close(reading)
    return StepProcess(process, tie)


def _ending(code: int) -> str:
    if code == 0:
        return "its process ended without a word of how the step went"
    kept = f"; {_KEPT}" if signal_of(code) else ""
    return f"its process ended with {ending(code)}{kept}"


def _came_true(holds: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_EVERY)
    return True
