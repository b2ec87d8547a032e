"""The store and the IO manager, with a local root and with one in a bucket."""

from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
import yaml
from s3 import bucket_served

from distil_dagster.data.remote_store import RemoteArtefactStore
from distil_dagster.data.store import ArtefactStore
from distil_dagster.job import open_job
from distil_dagster.orchestration.s3 import fetched_data
from distil_dagster.orchestration.storage import ArtefactIOManager, Store
from distil_dagster.traces.ingest import Traces
from distil_dagster.traces.of_job import traces_of
from distil_dagster.traces.relabel import RelabelledTraces
from distil_dagster.traces.seeds import SeedData, build_seed_data


@dataclass(frozen=True)
class Note:
    text: str
    folder: Path


@pytest.fixture(scope="module")
def bucket():
    with bucket_served() as served:
        yield served


@pytest.fixture
def environment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("DISTIL_WORK", "DISTIL_ARTEFACTS", "DISTIL_JOURNAL"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_one_setting_says_whether_artefacts_are_in_a_folder_or_in_a_bucket(environment, tmp_path, bucket):
    local = Store(root="here").artefacts
    assert (type(local), local.root) == (ArtefactStore, tmp_path / "here")
    remote = Store(root=f"{bucket.url}/project").artefacts
    assert isinstance(remote, RemoteArtefactStore)
    assert remote.location("traces", "letters") == f"{bucket.url}/project/traces/letters"


def test_work_and_journal_stay_on_this_machine(environment, tmp_path, bucket):
    local, remote = Store(root="here"), Store(root=f"{bucket.url}/project")
    assert local.journal_folder == tmp_path / "here"
    assert local.artefacts.work_folder("a", "b") == tmp_path / "here/.work/a/b"
    assert remote.journal_folder == remote.artefacts.root == tmp_path / "artefacts/.work"
    assert remote.artefacts.work_folder("a", "b") == tmp_path / "artefacts/.work/a/b"
    environment.setenv("DISTIL_WORK", "fast")
    assert local.journal_folder == tmp_path / "here"
    assert local.artefacts.work_folder("a", "b") == tmp_path / "fast/a/b"
    assert remote.journal_folder == tmp_path / "fast"
    assert remote.artefacts.work_folder("a", "b") == tmp_path / "fast/a/b"


configs = dg.StaticPartitionsDefinition(["letters"])


@dg.asset(partitions_def=configs)
def note(context: dg.AssetExecutionContext) -> Note:
    folder = Path("made")
    folder.mkdir(exist_ok=True)
    (folder / "report.html").write_text("report")
    return Note("written", folder.resolve())


@dg.asset(partitions_def=configs)
def reader(note: Note) -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"read": (note.folder / "report.html").read_text(), "text": note.text})


@pytest.mark.parametrize("is_remote", [False, True])
def test_assets_are_handed_on_and_people_are_shown_where_they_are(environment, tmp_path, bucket, is_remote):
    root = f"{bucket.url}/shown" if is_remote else "here"
    manager = ArtefactIOManager(store=Store(root=root))
    result = dg.materialize([note, reader], partition_key="letters", resources={"io_manager": manager})
    (shown,) = result.asset_materializations_for_node("note")
    path, folder = shown.metadata["path"].value, shown.metadata["path/folder"].value
    assert path == Store(root=root).artefacts.location("note", "letters")
    assert folder == f"{path}/folder"
    if is_remote:
        assert f"{folder}/report.html".removeprefix(f"{bucket.url}/") in bucket.listed()
    else:
        assert (Path(folder) / "report.html").read_text() == "report"
    (read,) = result.asset_materializations_for_node("reader")
    assert (read.metadata["read"].value, read.metadata["text"].value) == ("report", "written")


def traces_and_seeds(config: Path) -> tuple[Traces, SeedData]:
    job = open_job(config, fetch=fetched_data)
    traces, none = traces_of(job), RelabelledTraces([], [])
    settings = job.config.trace_processing
    return traces, build_seed_data(job.folder, traces, none, job.task, settings, max_total_length=job.max_total_length)


def test_a_pipeline_from_bucket_to_bucket_gives_the_files_of_a_local_one(
    environment, tmp_path, bucket, case, letters_with_rows
):
    values = {"base": {"task": "classification", "random_seed": 7}}
    for path in letters_with_rows.iterdir():
        bucket.put(f"jobs/letters/{path.name}", path.read_bytes())
    places = {"local": str(letters_with_rows), "remote": f"{bucket.url}/jobs/letters"}
    roots = {"local": "here", "remote": f"{bucket.url}/equal"}
    folders = {}
    for name, place in places.items():
        config = tmp_path / name / "letters.yaml"
        config.parent.mkdir()
        config.write_text(yaml.safe_dump({**values, "data": {"path": place}}))
        traces, seeds = traces_and_seeds(config)
        assert traces.rows
        assert seeds.train
        environment.setenv("DISTIL_WORK", str(tmp_path / name / "work"))
        store = Store(root=roots[name]).artefacts
        store.save("traces", "letters", traces)
        store.save("seed_data", "letters", seeds)
        # As another machine finds them.
        environment.setenv("DISTIL_WORK", str(tmp_path / name / "another"))
        store = Store(root=roots[name]).artefacts
        folders[name] = [content(store.folder(asset, "letters")) for asset in ("traces", "seed_data")]
    assert folders["local"] == folders["remote"]
    assert all(folders["remote"])


@pytest.fixture
def letters_with_rows(tmp_path, case):
    """The folder with traces, and rows of the user's own."""
    folder = tmp_path / "job"
    folder.mkdir()
    for name in ("job_description.json", "traces.jsonl"):
        (folder / name).write_bytes((case / name).read_bytes())
    for name, numbers in (("train", range(6)), ("test", range(6, 12))):
        labels = ("bills", "parcels", "garden")
        rows = ["question,answer\n", *(f"Letter {number}?,{labels[number % 3]}\n" for number in numbers)]
        (folder / f"{name}.csv").write_text("".join(rows))
    return folder
