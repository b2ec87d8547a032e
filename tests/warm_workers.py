"""Training programs that begin with their libraries loaded, for tests that run many and look at what comes of it.

Importing them takes most of the time of a tiny training. A server imports them once and forks the programs. Tests of
how programs start, end and are killed use the real command.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from distil_dagster.training import launch

_PROGRAM = Path(__file__).with_name("warm_worker_program.py")


@dataclass(frozen=True)
class WarmWorkers:
    """The server of a test session; `place` is its socket."""

    place: Path

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """For as long as the block lasts, this process starts training programs of one process so."""
        cold = launch.worker_command

        def command(job_path: Path, processes: int = 1) -> list[str]:
            if processes > 1:
                return cold(job_path, processes)
            return [sys.executable, "-I", "-S", str(_PROGRAM), "ask", str(self.place), str(job_path)]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(launch, "worker_command", command)
            yield


@contextmanager
def warm_workers(folder: Path) -> Iterator[WarmWorkers]:
    """Starts the server, with its socket in a folder."""
    command = [sys.executable, str(_PROGRAM), "serve", str(folder / "workers")]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        yield WarmWorkers(folder / "workers")
    finally:
        server.kill()
        server.communicate()
