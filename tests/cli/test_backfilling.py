"""`backfill` and `sweep`: many runs in one command, and what they buy."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from cli.conftest import ROOT, environment_in

from distil_dagster.data.store import ArtefactStore
from distil_dagster.evaluation.artefacts import EvalReport


@dataclass(frozen=True)
class Home:
    """A folder of configurations, their artefacts, and the simulated teacher to ask."""

    folder: Path
    case: Path

    @property
    def store(self) -> ArtefactStore:
        return ArtefactStore(self.folder / "artefacts")

    @property
    def config(self) -> Path:
        return self.folder / "configs" / "letters.yaml"

    def command(self, *arguments: str, simulated: bool = True) -> subprocess.CompletedProcess:
        teacher = ["--simulated-teacher", str(self.case)] if simulated else []
        return subprocess.run(
            [sys.executable, "-m", "distil_dagster.cli", *arguments, *teacher],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=environment_in(self.folder)
            | {"OMP_NUM_THREADS": "1", "COLUMNS": "160", "DISTIL_CONFIGS": str(self.folder / "configs")},
        )

    def write(self, name: str, config: dict) -> None:
        (self.folder / "configs" / f"{name}.yaml").write_text(yaml.safe_dump(config))


@pytest.fixture
def home(tmp_path, case, small_config):
    (tmp_path / "configs").mkdir()
    home = Home(tmp_path, case)
    home.write("letters", small_config)
    return home


@pytest.fixture(scope="module")
def swept(tmp_path_factory, case, small_config):
    """A home after one run and a sweep over what it learned from."""
    folder = tmp_path_factory.mktemp("swept")
    (folder / "configs").mkdir()
    home = Home(folder, case)
    home.write("letters", small_config)
    first = home.command("run", str(home.config))
    assert first.returncode == 0, first.stdout + first.stderr
    over = ("--over", "tuning.lora_r=[2, 4]", "--over", "tuning.learning_rate=0.02")
    return home, home.command("sweep", str(home.config), *over), first


def bought(done: subprocess.CompletedProcess) -> int:
    (count,) = re.findall(r"The simulated teacher answered (\d+) requests", done.stdout)
    return int(count)


def test_a_sweep_trains_every_combination_and_buys_nothing(swept):
    home, done, _ = swept
    assert done.returncode == 0, done.stdout + done.stderr
    assert bought(done) == 0
    names = ["letters", "letters-lora_r-2-learning_rate-0.02", "letters-lora_r-4-learning_rate-0.02"]
    assert home.store.partitions("eval_report") == names
    assert home.store.partitions("model_bundle") == names


def test_each_combination_is_a_configuration_of_its_own_over_the_same_data(swept):
    home, _, _ = swept
    config = yaml.safe_load((home.folder / "configs" / "letters-lora_r-4-learning_rate-0.02.yaml").read_text())
    assert (config["tuning"]["lora_r"], config["tuning"]["learning_rate"]) == (4, 0.02)
    folder = home.folder / "configs" / config["data"]["path"]
    assert folder.resolve() == home.case.resolve()


def test_a_sweep_ends_with_a_table_of_all(swept):
    _, done, _ = swept
    table = done.stdout[done.stdout.rindex("configuration") :]
    assert table.count("finished") == 2
    assert "letters-lora_r-2-learning_rate-0.02" in table


def test_a_sweep_over_data_is_refused_before_anything_is_written(home):
    done = home.command("sweep", str(home.config), "--over", "synthgen.generation_target=[10, 20]")
    assert done.returncode == 2
    assert "synthgen.generation_target" in done.stderr
    assert [path.name for path in (home.folder / "configs").iterdir()] == ["letters.yaml"]


def test_a_backfill_over_equal_data_buys_once_what_all_ask_and_goes_on_past_a_failure(home, small_config, swept):
    _, _, alone = swept
    home.write("second", small_config | {"tuning": small_config["tuning"] | {"lora_r": 4}})
    lacking = small_config["data"] | {"students": {"SmolLM2-135M-Instruct": str(home.folder / "nowhere")}}
    home.write("broken", small_config | {"data": lacking})
    done = home.command("backfill")
    assert done.returncode == 1
    table = done.stdout[done.stdout.rindex("configuration") :]
    assert (table.count("finished"), table.count("failed")) == (2, 1)
    assert home.store.partitions("eval_report") == ["letters", "second"]
    # The second student's answers are judged, where they are others; of the data nothing is bought again.
    judged = home.store.load("eval_report", "second", EvalReport).rows
    assert bought(alone) <= bought(done) <= bought(alone) + judged


def test_a_backfill_with_a_mistake_in_one_file_runs_nothing(home, small_config):
    home.write("second", small_config | {"tuning": {"lora_r": "many"}})
    done = home.command("backfill")
    assert done.returncode == 2
    assert "second.yaml:" in done.stderr
    assert "tuning.lora_r" in done.stderr
    assert not (home.folder / "artefacts").exists()


def test_a_backfill_that_is_submitted_waits_in_the_queue_of_the_daemon(home, small_config):
    import dagster as dg

    home.write("second", small_config)
    (home.folder / "dagster").mkdir(exist_ok=True)
    (home.folder / "dagster" / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
    done = home.command("backfill", "letters", "second", "--submit", simulated=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with dg.DagsterInstance.from_config(str(home.folder / "dagster")) as instance:
        runs = instance.get_runs()
        assert {run.tags["dagster/partition"] for run in runs} == {"letters", "second"}
        assert {run.status for run in runs} == {dg.DagsterRunStatus.QUEUED}
        assert len({run.tags["dagster/backfill"] for run in runs}) == 1
