import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
import yaml

from distil_dagster.assets.training import Adapter
from distil_dagster.cli.retuning import DATA_ASSETS
from distil_dagster.data.store import ArtefactStore
from distil_dagster.evaluation.artefacts import EvalReport

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Home:
    """A folder of configurations with one that was run, its artefacts, and the simulated teacher to ask."""

    folder: Path
    case: Path
    environment: dict[str, str]

    @property
    def store(self) -> ArtefactStore:
        return ArtefactStore(self.folder / "artefacts")

    def command(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "distil_dagster.cli", *arguments, "--simulated-teacher", str(self.case)],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=self.environment,
        )

    @property
    def config(self) -> str:
        return str(self.folder / "configs" / "letters.yaml")

    def adapter(self, partition: str) -> bytes:
        adapter = self.store.load("sft_adapter", partition, Adapter)
        return (adapter.weights / "adapter_model.safetensors").read_bytes()


def requests_answered(done: subprocess.CompletedProcess) -> int:
    (count,) = re.findall(r"The simulated teacher answered (\d+) requests", done.stdout)
    return int(count)


@pytest.fixture(scope="module")
def home(tmp_path_factory, case, small_config, tiny_student) -> Home:
    from cli.conftest import environment_in

    folder = tmp_path_factory.mktemp("retuning")
    (folder / "configs").mkdir()
    (folder / "configs" / "letters.yaml").write_text(yaml.safe_dump(small_config))
    home = Home(folder, case, environment_in(folder) | {"OMP_NUM_THREADS": "1"})
    done = home.command("run", home.config)
    assert done.returncode == 0, done.stdout + done.stderr
    assert requests_answered(done) > 0
    return home


def test_another_tuning_section_trains_anew_and_buys_nothing(home):
    before = home.adapter("letters")
    done = home.command("retune", home.config, "--set", "tuning.num_train_epochs=2", "--set", "tuning.lora_r=4")
    assert done.returncode == 0, done.stdout + done.stderr
    assert requests_answered(done) == 0
    assert home.adapter("letters") != before
    assert "Report: " in done.stdout


def test_another_student_stands_beside_the_first_under_a_name_of_its_own(home, tiny_student):
    before = home.adapter("letters")
    settings = yaml.safe_load(Path(home.config).read_text())
    settings["data"]["students"]["Qwen3-0.6B"] = str(tiny_student)
    Path(home.config).write_text(yaml.safe_dump(settings))
    changed = ("--set", "base.student_model_name=Qwen3-0.6B", "--set", "tuning.learning_rate=2e-3")
    done = home.command("retune", home.config, "--as", "letters_qwen", *changed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert requests_answered(done) == 0
    assert home.adapter("letters") == before
    written = yaml.safe_load((home.folder / "configs" / "letters_qwen.yaml").read_text())
    assert written["base"]["student_model_name"] == "Qwen3-0.6B"
    assert float(written["tuning"]["learning_rate"]) == 2e-3
    report = home.store.load("eval_report", "letters_qwen", EvalReport)
    assert {row.role: row.model for row in report.summary}["sft"] == "Qwen3-0.6B"
    assert report.mean("teacher") == home.store.load("eval_report", "letters", EvalReport).mean("teacher")
    again = home.command("retune", home.config, "--as", "letters_qwen")
    assert again.returncode == 1
    assert "there is a configuration called letters_qwen already" in again.stderr
    assert "distil-dagster retune letters_qwen" in again.stderr


def test_data_that_were_taken_over_are_fresh_until_their_settings_change(home):
    from assets.test_staleness import stale

    from distil_dagster.orchestration.inputs import observe, versions_now

    branch = home.folder / "configs" / "letters_qwen.yaml"
    settings = yaml.safe_load(branch.read_text())
    assert settings["data"]["redistil_on"] == "never"
    with dg.DagsterInstance.from_config(home.environment["DAGSTER_HOME"]) as instance:
        # As the command itself, outside the time for which it has simulated teachers.
        observe(instance, "letters_qwen", versions_now(branch))
        assert stale(instance, "letters_qwen") & set(DATA_ASSETS) == set()
        settings["synthgen"]["generation_target"] = 19
        branch.write_text(yaml.safe_dump(settings))
        observe(instance, "letters_qwen", versions_now(branch))
        assert stale(instance, "letters_qwen") & set(DATA_ASSETS) == {"synthetic_dataset"}


@pytest.mark.parametrize("name", ["", "config", "a,b", "../x"])
def test_a_configuration_needs_a_name_that_can_be_one(home, name):
    done = home.command("retune", home.config, "--as", name)
    assert done.returncode == 1
    assert f"--as {name}: must be a name" in done.stderr
    assert sorted(path.name for path in (home.folder / "configs").iterdir())[0] == "letters.yaml"


def test_settings_that_would_need_other_data_are_refused(home):
    changed = ("--set", "synthgen.generation_target=5", "--set", "base.random_seed=1", "--set", "tuning.lora_r=2")
    done = home.command("retune", home.config, *changed)
    assert done.returncode == 2
    assert "synthgen.generation_target" in done.stderr
    assert "base.random_seed" in done.stderr
    assert "tuning.lora_r" not in done.stderr


def test_without_data_there_is_nothing_to_retune(home):
    (home.folder / "configs" / "new.yaml").write_text(Path(home.config).read_text())
    done = home.command("retune", str(home.folder / "configs" / "new.yaml"))
    assert done.returncode == 1
    assert "new: no traces, filtered_traces," in done.stderr
    assert "run `distil-dagster run new` first" in done.stderr
