"""A simulator in the place of all teachers, for the time of a command."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from distil_dagster.cli.console import RunConsole
from distil_dagster.config.catalogue import ANY_MODEL, OVERRIDE_VARIABLE

_SIMULATED_KEY = "DISTIL_SIMULATED_KEY"


@dataclass(frozen=True)
class Simulation:
    """A simulator in the place of all teachers: the folder whose answers it knows, and the share that it gets wrong."""

    folder: Path
    error_rate: float


@contextmanager
def teachers_of(simulation: Simulation | None, console: RunConsole) -> Iterator[None]:
    """Send every teacher's requests to a simulator for the time of a run, where that is wanted."""
    if simulation is None:
        yield
        return
    import yaml

    from distil_dagster.simulator.options import Options
    from distil_dagster.simulator.server import SimulatedTeacher

    options = Options(error_rate=simulation.error_rate)
    with SimulatedTeacher(simulation.folder, options) as teacher, tempfile.TemporaryDirectory() as folder:
        routes = Path(folder) / "models.yaml"
        route = {
            "model": "openai/simulated/{name}",
            "base_url": teacher.base_url,
            "api_key_env": _SIMULATED_KEY,
            "extra": {"input_cost_per_token": 0, "output_cost_per_token": 0},
        }
        routes.write_text(yaml.safe_dump({ANY_MODEL: route}), encoding="utf-8")
        # Before the file's own routes, too: a rehearsal must not pay anybody.
        before = os.environ.get(OVERRIDE_VARIABLE)
        os.environ |= {OVERRIDE_VARIABLE: str(routes), _SIMULATED_KEY: "none-needed"}
        console.notice(
            f"Teachers, committee and judge are simulated from {simulation.folder}, wrong in "
            f"{simulation.error_rate:.0%} of their answers; everything else is real."
        )
        try:
            yield
        finally:
            del os.environ[OVERRIDE_VARIABLE], os.environ[_SIMULATED_KEY]
            if before is not None:
                os.environ[OVERRIDE_VARIABLE] = before
            console.notice(
                f"The simulated teacher answered {teacher.stats()['by_outcome'].get('answered', 0)} requests."
            )
