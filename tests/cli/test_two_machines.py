"""Two machines without a common disk, over one bucket: what one makes, the other goes on with."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from cli.conftest import environment_in
from s3 import Bucket, bucket_served

from distil_dagster.assets.delivery import ModelBundle
from distil_dagster.data.store import ArtefactStore

ROOT = Path(__file__).parents[2]
DATA = ("traces", "filtered_traces", "relabelled_traces", "seed_data", "synthetic_dataset")
REST = ("teacher_evaluation", "sft_adapter", "rlvr_adapter", "eval_report", "model_bundle")


@dataclass(frozen=True)
class Machine:
    """A folder for all that a machine has of its own, and where its artefacts are."""

    folder: Path
    case: Path
    artefacts: str

    def run(self, *arguments: str) -> str:
        environment = environment_in(self.folder) | {
            "DISTIL_ARTEFACTS": self.artefacts,
            "DISTIL_WORK": str(self.folder / "work"),
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "distil_dagster.cli", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def make(self, *assets: str) -> str:
        config = str(self.folder / "configs" / "letters.yaml")
        return self.run("run", config, "--select", ",".join(assets), "--simulated-teacher", str(self.case))


@pytest.fixture(scope="module")
def bucket():
    with bucket_served() as served:
        yield served


@pytest.fixture
def machine(tmp_path, case, small_config):
    def new(name: str, artefacts: str, data: str) -> Machine:
        folder = tmp_path / name
        (folder / "configs").mkdir(parents=True)
        values = small_config | {"data": small_config["data"] | {"path": data}}
        (folder / "configs" / "letters.yaml").write_text(yaml.safe_dump(values))
        return Machine(folder, case, artefacts)

    return new


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_one_machine_makes_the_data_and_another_trains_on_it(bucket: Bucket, machine, tmp_path, case):
    for name in ("job_description.json", "traces.jsonl"):
        bucket.put(f"jobs/letters/{name}", (case / name).read_bytes())
    root, data = f"{bucket.url}/project", f"{bucket.url}/jobs/letters"
    machine("first", root, data).make(*DATA)
    second = machine("second", root, data)
    second.make(*REST)
    assert "Report: " in second.run("report", str(second.folder / "configs" / "letters.yaml"))

    looking = bucket.store(tmp_path / "third")
    assert [asset for asset in (*DATA, *REST) if looking.partitions(asset) != ["letters"]] == []
    assert (looking.load("model_bundle", "letters", ModelBundle).bundle / "model" / "config.json").is_file()
    assert not (ROOT / "artefacts" / "traces" / "letters").exists()

    local = machine("local", str(tmp_path / "local" / "artefacts"), str(case))
    local.make(*DATA)
    here = ArtefactStore(tmp_path / "local" / "artefacts")
    for asset in DATA:
        assert content(looking.folder(asset, "letters")) == content(here.folder(asset, "letters")), asset
