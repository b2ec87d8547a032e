import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cli_environment():
    """The environment of a command whose artefacts and instance are in a folder."""
    return environment_in


@pytest.fixture
def run_cli(tmp_path):
    """Runs the command line in a process and a home of its own."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
        return run_command(arguments, environment_in(tmp_path) | environment)

    return run


def run_command(arguments: Sequence[str], environment: dict[str, str]) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "distil_dagster.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)


def environment_in(home: Path) -> dict[str, str]:
    (home / "dagster").mkdir(exist_ok=True)
    # What a project that a test keeps open for others has set is not for this command.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DISTIL_")}
    return inherited | {
        "DAGSTER_HOME": str(home / "dagster"),
        "DISTIL_ARTEFACTS": str(home / "artefacts"),
        "PYTHONPATH": str(ROOT),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
