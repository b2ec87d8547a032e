import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from distil_dagster.simulator.options import Options
from distil_dagster.simulator.server import SimulatedTeacher

ROOT = Path(__file__).parents[2]
SELECTED = "traces,filtered_traces,relabelled_traces,seed_data,synthetic_dataset"
IN_FLIGHT = 4


class Undertaking:
    """One job in a home of its own, against a slow simulated teacher of its own."""

    def __init__(self, home: Path, environment: dict[str, str], teacher: SimulatedTeacher) -> None:
        home.mkdir(exist_ok=True)
        route = {"model": "openai/simulated/{name}", "base_url": teacher.base_url, "api_key_env": "NO_KEY_NEEDED"}
        (home / "models.yaml").write_text(yaml.safe_dump({"*": route}))
        settings = yaml.safe_load((ROOT / "configs" / "quickstart.yaml").read_text())
        settings["data"] = {"path": str(ROOT / "examples" / "ticket_routing")}
        settings["base"]["llm_num_parallel_requests"] = IN_FLIGHT
        settings["trace_processing"] |= {"num_traces_as_training_base": 40, "num_traces_as_testing_base": 40}
        settings["synthgen"]["generation_target"] = 160
        (home / "tickets.yaml").write_text(yaml.safe_dump(settings))
        self.home, self.teacher = home, teacher
        self._environment = environment | {"DISTIL_MODELS": str(home / "models.yaml"), "NO_KEY_NEEDED": "none"}

    def start(self) -> subprocess.Popen:
        command = [
            sys.executable,
            "-m",
            "distil_dagster.cli",
            "run",
            str(self.home / "tickets.yaml"),
            "--select",
            SELECTED,
        ]
        return subprocess.Popen(
            command, cwd=ROOT, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def finish(self) -> None:
        process = self.start()
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output.decode()

    def generated(self) -> int:
        return self.teacher.stats()["by_role"].get("generated_examples", 0)

    def dataset(self) -> dict[str, bytes]:
        folder = self.home / "artefacts" / "synthetic_dataset" / "tickets"
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def undertaking(tmp_path, cli_environment):
    opened = []

    def open_one(name: str) -> Undertaking:
        teacher = SimulatedTeacher(ROOT / "examples" / "ticket_routing", Options(latency=0.05, error_rate=0.05))
        opened.append(teacher.__enter__())
        home = tmp_path / name
        home.mkdir()
        return Undertaking(home, cli_environment(home), teacher)

    yield open_one
    for teacher in opened:
        teacher.__exit__(None, None, None)


def test_a_run_killed_during_synthesis_buys_again_only_what_was_in_flight(undertaking):
    undisturbed, killed = undertaking("undisturbed"), undertaking("killed")
    undisturbed.finish()

    process = killed.start()
    deadline = time.monotonic() + 200
    while killed.generated() < 20 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert 20 <= killed.generated() < undisturbed.generated()

    killed.finish()
    again = killed.teacher.stats()["requests"] - undisturbed.teacher.stats()["requests"]
    assert 0 <= again <= IN_FLIGHT
    assert killed.teacher.stats()["bodies"]["answered_more_than_once"] <= IN_FLIGHT
    assert killed.dataset() == undisturbed.dataset()
