"""One run over two machines that share no disk: CPU steps on the first, GPU steps on the second.

Between them are a PostgreSQL server, with Dagster's storage and the journal, and an S3 server with artefacts and data.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.reconstruct import ReconstructableRepository
from machines import SecondMachine, second_machine
from postgres import postgres_server
from projects import Project, opened_project
from s3 import Bucket, bucket_served

from distil_dagster.data.store import ArtefactStore
from distil_dagster.evaluation.artefacts import EvalReport
from distil_dagster.orchestration.partitions import add_partitions
from distil_dagster.simulator.server import SimulatedTeacher

STUDENT = "SmolLM2-135M-Instruct"
CPU = ("traces", "filtered_traces", "relabelled_traces", "seed_data", "synthetic_dataset", "teacher_evaluation")
GPU = ("sft_adapter", "rlvr_adapter", "eval_report", "model_bundle", "in_service")


@dataclass(frozen=True)
class Site:
    """What stands between the machines, and the folders that each has for itself."""

    second: SecondMachine
    bucket: Bucket
    teacher: SimulatedTeacher
    postgres: str
    folder: Path

    def home(self, machine: str) -> Path:
        return self.folder / machine

    def environment(self, machine: str) -> dict[str, str]:
        """The same settings on both machines, each with its own copies of the files."""
        home = self.home(machine)
        return {
            "HOME": str(home),
            "DISTIL_CONFIGS": str(home / "configs"),
            "DISTIL_MODELS": str(home / "models.yaml"),
            "DISTIL_WORK": str(home / "work"),
            "DISTIL_ARTEFACTS": f"{self.bucket.url}/project",
            "DISTIL_JOURNAL": self.postgres,
            "NO_KEY_NEEDED": "none",
            "OMP_NUM_THREADS": "1",
        }

    def storage(self) -> dict:
        """Dagster's storage; the URL's scheme would have SQLAlchemy look for a driver that is not installed."""
        parts = urlsplit(self.postgres)
        database = {
            "username": parts.username,
            "password": unquote(parts.password or ""),
            "hostname": parts.hostname,
            "port": parts.port,
            "db_name": parts.path.lstrip("/"),
            "scheme": "postgresql+psycopg2",
        }
        return {"postgres": {"postgres_db": database}}


@pytest.fixture(scope="module")
def site(tmp_path_factory, case, small_config, tiny_student):
    folder = tmp_path_factory.mktemp("site")
    with (
        second_machine() as second,
        postgres_server(folder, second.servers) as postgres,
        bucket_served(second.servers) as bucket,
        SimulatedTeacher(case, host=second.servers) as teacher,
    ):
        site = Site(second, bucket, teacher, postgres, folder)
        for name in ("job_description.json", "traces.jsonl"):
            bucket.put(f"jobs/letters/{name}", (case / name).read_bytes())
        data = {"path": f"{bucket.url}/jobs/letters", "students": {STUDENT: "~/weights"}}
        for machine in ("first", "second"):
            write_machine(site, machine, small_config | {"data": data})
        shutil.copytree(tiny_student, site.home("second") / "weights")
        yield site


def write_machine(site: Site, machine: str, config: dict) -> None:
    route = {"model": "openai/simulated/{name}", "base_url": site.teacher.base_url, "api_key_env": "NO_KEY_NEEDED"}
    home = site.home(machine)
    (home / "configs").mkdir(parents=True)
    (home / "configs" / "letters.yaml").write_text(yaml.safe_dump(config))
    (home / "models.yaml").write_text(yaml.safe_dump({"*": route}))


@pytest.fixture(scope="module")
def run(site):
    """The run's result, as its run worker on the first machine saw it."""
    first = site.environment("first")
    with (
        pytest.MonkeyPatch.context() as patch,
        dg.instance_for_test(
            temp_dir=str(site.home("first")),
            overrides={"storage": site.storage(), "concurrency": {"pools": {"default_limit": 1, "granularity": "op"}}},
        ) as instance,
    ):
        for name, value in first.items():
            patch.setenv(name, value)
        add_partitions(instance, ["letters"])
        repository = ReconstructableRepository.for_module("distil_dagster.definitions", "defs")
        command, environment = site.second.command(hidden=site.home("first")), site.environment("second")
        local = {"command": command, "environment": environment}
        with dg.execute_job(
            repository.get_reconstructable_job("distil"),
            instance,
            run_config={"execution": {"config": {"gpu": {"local": local}, "max_concurrent": 2}}},
            tags={"dagster/partition": "letters"},
        ) as result:
            yield result


@pytest.fixture(scope="module")
def alone(tmp_path_factory, case, small_config, run):
    """The same configuration, run by one machine with everything on its own disk."""
    with opened_project(tmp_path_factory.mktemp("alone"), case, small_config) as project:
        assert project.run().success
        yield project


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_run_succeeds_and_each_step_ran_on_its_device(run):
    assert run.success
    devices = {
        event.step_key: event.event_specific_data.metadata["device"].value
        for event in run.all_events
        if event.event_type_value == "STEP_WORKER_STARTING"
    }
    assert {asset: devices[asset] for asset in (*CPU, *GPU)} == dict.fromkeys(CPU, "cpu") | dict.fromkeys(GPU, "gpu")


def test_trainings_left_their_work_on_the_second_machine_only(site, run):
    assert (site.home("second") / "work" / "sft_adapter" / "letters").is_dir()
    assert not (site.home("first") / "work" / "sft_adapter").exists()
    assert not (site.home("second") / "work" / "synthetic_dataset").exists()


def test_a_third_machine_finds_every_artefact_whole_in_the_bucket(site, run, tmp_path):
    store = site.bucket.store(tmp_path / "third")
    assert [asset for asset in (*CPU, *GPU) if store.partitions(asset) != ["letters"]] == []
    assert store.load("eval_report", "letters", EvalReport).rows


@pytest.mark.parametrize("asset", CPU)
def test_data_are_those_of_a_run_on_one_machine(site, run, alone: Project, asset, tmp_path):
    fetched = site.bucket.store(tmp_path / "third").folder(asset, "letters")
    assert content(fetched) == content(alone.store.folder(asset, "letters"))


def test_the_student_is_that_of_a_run_on_one_machine(site, run, alone: Project, tmp_path):
    stores: tuple[ArtefactStore, ...] = (site.bucket.store(tmp_path / "third"), alone.store)
    first, second = (store.folder("sft_adapter", "letters") / "weights" for store in stores)
    name = "adapter_model.safetensors"
    assert (first / name).read_bytes() == (second / name).read_bytes()


def test_both_machines_bought_from_one_journal_and_nothing_twice(site, run):
    assert site.teacher.stats()["bodies"]["answered_more_than_once"] == 0
    assert list(site.folder.rglob("journal.sqlite*")) == []


def test_no_password_stands_in_the_run_or_in_what_the_machines_keep(site, run):
    import postgres

    logged = "".join(event.message or "" for event in run.all_events)
    assert postgres.PASSWORD not in logged
    kept = [path for path in site.folder.rglob("*") if path.is_file() and path.name != "dagster.yaml"]
    assert not [path for path in kept if postgres.PASSWORD.encode() in path.read_bytes()]
