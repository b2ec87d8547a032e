"""Runs of those jobs: in this process, or launched and terminated as the UI does it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.test_utils import create_run_for_test
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import PythonFileTarget

JOBS = Path(__file__).with_name("device_jobs.py")


@contextmanager
def executed(
    job: str, config: dict | None = None, instance: dg.DagsterInstance | None = None, **options
) -> Iterator[dg.JobExecutionResult]:
    """The result of a run of a job whose executor works in this process, each step a process of its own."""
    repository = ReconstructableRepository.for_file(str(JOBS), "sample", working_directory=str(JOBS.parent))
    if instance is None:
        with dg.instance_for_test() as made, executed(job, config, made, **options) as result:
            yield result
        return
    run_config = {"execution": {"config": config}} if config else {}
    with dg.execute_job(repository.get_reconstructable_job(job), instance, run_config=run_config, **options) as result:
        yield result


def failure_of(result: dg.JobExecutionResult) -> str:
    """What the UI shows for the one step that failed."""
    (failure,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    return failure.error.to_string()


@dataclass(frozen=True)
class Launched:
    """A run whose run worker is a process of its own, started by the run launcher of the instance."""

    instance: dg.DagsterInstance
    run_id: str

    @property
    def status(self) -> dg.DagsterRunStatus:
        return self.instance.get_run_by_id(self.run_id).status

    def worker(self) -> int:
        """The process of the run worker."""
        (event,) = [
            entry.dagster_event
            for entry in self.instance.all_logs(self.run_id)
            if entry.dagster_event and "Started process for run" in (entry.dagster_event.message or "")
        ]
        return int(event.message.split("pid: ")[1].strip(")."))

    def step(self, key: str) -> int:
        """The process that leads a step's session."""
        (starting,) = [
            entry.dagster_event
            for entry in self.instance.all_logs(self.run_id, of_type=dg.DagsterEventType.STEP_WORKER_STARTING)
            if entry.step_key == key
        ]
        return starting.engine_event_data.metadata["pid"].value

    def failures(self) -> list[str]:
        events = [entry.dagster_event for entry in self.instance.all_logs(self.run_id)]
        return [event.step_failure_data.error.to_string() for event in events if event and event.is_step_failure]

    def terminate(self) -> None:
        assert self.instance.run_launcher.terminate(self.run_id)


@contextmanager
def launched(job: str, config: dict, instance: dg.DagsterInstance, tags: dict | None = None) -> Iterator[Launched]:
    """A run of a job as the UI launches it: by a code server, in a process that it starts."""
    target = PythonFileTarget(str(JOBS), "sample", str(JOBS.parent), "devices")
    with WorkspaceProcessContext(instance, target) as process:
        workspace = process.create_request_context()
        (repository,) = workspace.code_locations[0].get_repositories().values()
        remote = repository.get_full_job(job)
        run = create_run_for_test(
            instance,
            job_name=job,
            run_config={"execution": {"config": config}},
            tags=tags,
            remote_job_origin=remote.get_remote_origin(),
            job_code_origin=remote.get_python_origin(),
        )
        instance.launch_run(run.run_id, workspace)
        run = Launched(instance, run.run_id)
        try:
            yield run
        finally:
            if not run.instance.get_run_by_id(run.run_id).is_finished:
                instance.run_launcher.terminate(run.run_id)


def wait_until(holds: Callable[[], object], seconds: float = 90) -> float:
    """How long it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() < began + seconds
        time.sleep(0.1)
    return time.monotonic() - began


def is_running(pid: int) -> bool:
    """Whether a process computes still: one that is dead and was not yet asked for is not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def in_session(leader: int) -> list[int]:
    """The processes of a session that compute still."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # Behind the name, which may hold anything: state, parent, group, session.
            session = int((folder / "stat").read_text().rpartition(")")[2].split()[3])
        except OSError:
            continue
        if session == leader and is_running(int(folder.name)):
            found.append(int(folder.name))
    return found


def pids_in(path: Path) -> list[int]:
    """The processes that a step has named in a file, once it has."""
    wait_until(path.exists)
    return [int(word) for word in path.read_text().split()]
