"""Artefacts in a bucket: equal to local ones, and whole whatever happens while they are written or read."""

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from s3 import Client

from distil_dagster.data.messages import Frozen
from distil_dagster.data.objects import LARGE, StorageError
from distil_dagster.data.store import ArtefactStore
from distil_dagster.data.versions import read_current, remove_old_versions

ROOT = Path(__file__).parents[2]


class Row(Frozen):
    name: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Model:
    rows: list[Row]
    weights: Path
    note: str


@pytest.fixture
def model(tmp_path):
    """Makes models; those of one size have equal weights."""

    def make(note: str, size: int = 100) -> Model:
        folder = tmp_path / f"made-{size}"
        (folder / "deep" / "deeper").mkdir(parents=True, exist_ok=True)
        (folder / "empty").mkdir(exist_ok=True)
        (folder / "weights.bin").write_bytes(bytes(range(256)) * (size // 256) + b"x" * (size % 256))
        (folder / "deep" / "deeper" / "größe 1.json").write_text("{}")
        return Model([Row(name=note, tags=("a", "ü"))], folder, note)

    return make


def content(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def calls_of(operation: str, log: list):
    return lambda name, arguments, _named: log.append(arguments) if name == operation else None


def test_the_same_artefact_gives_the_same_files_locally_and_in_a_bucket(bucket, model, tmp_path):
    local = ArtefactStore(tmp_path / "local")
    local.save("model", "letters", model("one"))
    bucket.store(tmp_path / "a").save("model", "letters", model("one"))
    on_another_machine = bucket.store(tmp_path / "b").folder("model", "letters")
    assert content(on_another_machine) == content(local.folder("model", "letters"))


def test_what_one_machine_saves_another_loads(bucket, model, tmp_path):
    location = bucket.store(tmp_path / "a").save("model", "letters", model("one"))
    there = bucket.store(tmp_path / "b")
    loaded = there.load("model", "letters", Model)
    assert (loaded.rows, loaded.note) == (model("one").rows, "one")
    assert content(loaded.weights) == content(model("one").weights)
    assert loaded.weights.is_relative_to(tmp_path / "b")
    assert location == there.location("model", "letters")
    assert location.startswith(f"{bucket.url}/project/model/letters/")
    assert f"{location}/weights/weights.bin".removeprefix(f"{bucket.url}/") in bucket.listed()


def test_weights_keep_their_time_by_which_trainings_know_them(bucket, model, tmp_path):
    made = model("one")
    os.utime(made.weights / "weights.bin", ns=(10**18 + 7, 10**18 + 7))
    bucket.store(tmp_path / "a").save("model", None, made)
    for machine in ("a", "b"):
        weights = bucket.store(tmp_path / machine).load("model", None, Model).weights
        assert (weights / "weights.bin").stat().st_mtime_ns == 10**18 + 7


def test_an_artefact_that_was_never_written_is_missing_as_a_local_one_is(bucket, tmp_path):
    store = bucket.store(tmp_path)
    with pytest.raises(FileNotFoundError, match=f"{bucket.url}/project/model/letters"):
        store.load("model", "letters", Model)
    with pytest.raises(FileNotFoundError):
        store.copy("model", "letters", "other")
    assert not store.exists("model", "letters")
    assert store.location("model", "letters") == f"{bucket.url}/project/model/letters"


def test_what_is_no_dataclass_is_not_uploaded(bucket, tmp_path):
    with pytest.raises(TypeError, match="dataclass"):
        bucket.store(tmp_path).save("model", None, {"a": 1})
    assert bucket.listed() == set()


def test_the_machine_that_saved_downloads_nothing_and_another_one_only_once(bucket, model, tmp_path):
    bucket.store(tmp_path / "a").save("model", "letters", model("one"))
    downloads: list = []
    client = Client(bucket.client, calls_of("download_file", downloads))
    bucket.store(tmp_path / "a", client).load("model", "letters", Model)
    assert downloads == []
    for _ in range(2):
        bucket.store(tmp_path / "b", client).load("model", "letters", Model)
    assert len(downloads) == 4


@pytest.mark.parametrize("same_size", [True, False])
def test_a_local_copy_that_is_not_what_was_uploaded_is_fetched_again(bucket, model, tmp_path, same_size):
    store = bucket.store(tmp_path / "b")
    bucket.store(tmp_path / "a").save("model", "letters", model("one"))
    path = store.load("model", "letters", Model).weights / "weights.bin"
    state = path.stat()
    path.write_bytes(b"y" * (state.st_size if same_size else 3))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert content(store.load("model", "letters", Model).weights) == content(model("one").weights)


def test_an_object_that_is_not_what_was_uploaded_is_never_read(bucket, model, tmp_path):
    location = bucket.store(tmp_path / "a").save("model", "letters", model("one"))
    key = f"{location}/weights/weights.bin".removeprefix(f"{bucket.url}/")
    bucket.put(key, b"z" * 100)
    with pytest.raises(StorageError, match=r"weights\.bin: is not what was uploaded"):
        bucket.store(tmp_path / "b").load("model", "letters", Model)
    assert not list((tmp_path / "b").rglob("weights.bin"))
    assert not list((tmp_path / "b").rglob("*.part"))


def test_a_manifest_that_is_none_is_an_error_that_names_it(bucket, model, tmp_path):
    store = bucket.store(tmp_path)
    for wrong in (b"{", json.dumps({"version": "../x", "files": {}}).encode()):
        bucket.put("project/model/letters/current.json", wrong)
        with pytest.raises(StorageError, match=r"letters/current\.json: is not what was written"):
            store.load("model", "letters", Model)


def test_objects_that_are_gone_for_good_are_an_error_and_no_endless_search(bucket, model, tmp_path):
    location = bucket.store(tmp_path / "a").save("model", "letters", model("one"))
    bucket.prefix().delete([f"{location}/artefact.json".removeprefix(f"{bucket.url}/project/")])
    with pytest.raises(StorageError, match="files of it are gone; materialize model again"):
        bucket.store(tmp_path / "b").load("model", "letters", Model)


@pytest.mark.parametrize("at", range(4))
def test_an_upload_that_fails_at_any_file_leaves_the_old_artefact_whole(bucket, model, tmp_path, at):
    store = bucket.store(tmp_path / "a")
    store.save("model", "letters", model("one"))
    uploads: list = []

    def fail(operation, arguments, _named):
        if operation == "upload_file":
            uploads.append(arguments)
            if len(uploads) > at:
                raise ConnectionAbortedError("the line is cut")

    with pytest.raises(ConnectionAbortedError):
        bucket.store(tmp_path / "a", Client(bucket.client, fail)).save("model", "letters", model("two", 200))
    for machine in ("a", "b"):
        assert bucket.store(tmp_path / machine).load("model", "letters", Model).note == "one"
    assert not [path for path in (tmp_path / "a" / "copies").rglob("*") if ".part" in path.name]


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, "tests")
from s3 import Client
from data.test_remote_store import Model, Row
from distil_dagster.data.objects import Prefix
from distil_dagster.data.remote_store import RemoteArtefactStore
from distil_dagster.orchestration.s3 import s3_client

url, work, weights, operation, at = sys.argv[1:]
seen = []

def kill(name, arguments, named):
    seen.append(name) if name == operation else None
    if len(seen) == int(at):
        os.kill(os.getpid(), signal.SIGKILL)

store = RemoteArtefactStore(Path(work), Path(work), prefix=Prefix.at(url, Client(s3_client(), kill)))
store.save("model", "letters", Model([Row(name="two")], Path(weights), "two"))
"""


@pytest.mark.parametrize(
    ("operation", "at"), [("upload_file", 1), ("upload_file", 4), ("put_object", 1), ("delete_objects", 1)]
)
def test_a_process_killed_while_it_saves_leaves_the_old_artefact_or_the_new_one_whole(
    bucket, model, tmp_path, operation, at
):
    bucket.store(tmp_path / "a").save("model", "letters", model("zero"))
    bucket.store(tmp_path / "a").save("model", "letters", model("one"))
    weights = model("two", 200).weights
    command = [sys.executable, "-c", KILLED, f"{bucket.url}/project", tmp_path / "a", weights, operation, str(at)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | bucket.environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    expected = "two" if operation == "delete_objects" else "one"
    for machine in ("a", "b"):
        loaded = bucket.store(tmp_path / machine).load("model", "letters", Model)
        assert (loaded.note, loaded.rows[0].name) == (expected, expected)
        assert (loaded.weights / "weights.bin").stat().st_size == (200 if expected == "two" else 100)
    bucket.store(tmp_path / "b").save("model", "letters", model("three"))
    assert bucket.store(tmp_path / "a").load("model", "letters", Model).note == "three"


def test_a_first_upload_that_was_interrupted_is_no_artefact(bucket, model, tmp_path):
    def fail(operation, _arguments, _named):
        if operation == "put_object":
            raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        bucket.store(tmp_path / "a", Client(bucket.client, fail)).save("model", "letters", model("one"))
    assert bucket.listed()
    store = bucket.store(tmp_path / "b")
    assert not store.exists("model", "letters")
    assert store.partitions("model") == []


def test_readers_see_old_or_new_and_always_whole_while_another_machine_writes(bucket, model, tmp_path):
    writer = bucket.store(tmp_path / "a")
    writer.save("model", "letters", model("0", 1000))
    ended = threading.Event()
    read: list[str] = []
    failures: list[BaseException] = []

    def read_on(machine: str) -> None:
        try:
            while not ended.is_set():
                loaded = bucket.store(tmp_path / machine).load("model", "letters", Model)
                assert loaded.rows[0].name == loaded.note
                assert (loaded.weights / "weights.bin").stat().st_size == 1000 + int(loaded.note)
                read.append(loaded.note)
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=read_on, args=(machine,)) for machine in ("b", "c")]
    for reader in readers:
        reader.start()
    for number in range(1, 9):
        writer.save("model", "letters", model(str(number), 1000 + number))
    ended.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert len(set(read)) > 1


def test_a_version_that_vanishes_while_it_is_fetched_gives_way_to_the_one_that_replaced_it(bucket, model, tmp_path):
    writer = bucket.store(tmp_path / "a")
    writer.save("model", "letters", model("one", 100))
    once: list = []

    def replace_twice(operation, _arguments, _named):
        if operation == "download_file" and not once:
            once.append(1)
            writer.save("model", "letters", model("two", 200))
            writer.save("model", "letters", model("three", 300))

    loaded = bucket.store(tmp_path / "b", Client(bucket.client, replace_twice)).load("model", "letters", Model)
    assert (loaded.note, (loaded.weights / "weights.bin").stat().st_size) == ("three", 300)


def test_the_version_that_was_replaced_last_stays_and_older_ones_go(bucket, model, tmp_path):
    store = bucket.store(tmp_path / "a")
    versions = [store.save("model", "letters", model(str(number))).rpartition("/")[2] for number in range(4)]
    place = bucket.prefix().below("model", "letters")
    assert set(place.folders()) == set(versions[-2:])
    copies = store.folder("model", "letters").parent
    assert {path.name for path in copies.iterdir()} == set(versions[-2:])


def test_copies_of_older_versions_go_from_a_machine_that_only_reads(bucket, model, tmp_path):
    reader = bucket.store(tmp_path / "b")
    for number in range(4):
        bucket.store(tmp_path / "a").save("model", "letters", model(str(number)))
        copies = reader.folder("model", "letters").parent
    assert len(list(copies.iterdir())) == 2


def test_leftovers_of_interrupted_uploads_go_when_they_are_older_than_a_day(bucket, model, tmp_path):
    store = bucket.store(tmp_path / "a")
    bucket.put("project/model/letters/20200101T000000Z-aaaaaaaa/weights.bin", b"half")
    store.save("model", "letters", model("one"))
    place = bucket.prefix().below("model", "letters")
    assert "20200101T000000Z-aaaaaaaa" in place.folders()
    current = read_current(place)
    remove_old_versions(place, current, None, datetime.now(UTC) + timedelta(hours=25))
    assert place.folders() == [current.version]
    assert store.load("model", "letters", Model).note == "one"


def test_large_files_that_did_not_change_are_copied_within_the_bucket(bucket, model, tmp_path):
    store = bucket.store(tmp_path / "a")
    store.save("model", "letters", model("one", LARGE + 10))
    uploads: list = []
    copies: list = []

    def note(operation, arguments, _named):
        uploads.append(arguments[2]) if operation == "upload_file" else None
        copies.append(arguments[2]) if operation == "copy" else None

    bucket.store(tmp_path / "a", Client(bucket.client, note)).save("model", "letters", model("two", LARGE + 10))
    assert [key.rpartition("/")[2] for key in copies] == ["weights.bin"]
    assert sorted(key.rpartition("/")[2] for key in uploads) == ["artefact.json", "größe 1.json", "rows.parquet"]
    loaded = bucket.store(tmp_path / "b").load("model", "letters", Model)
    assert loaded.note == "two"
    assert content(loaded.weights) == content(model("two", LARGE + 10).weights)


def test_a_large_file_whose_former_version_is_gone_is_uploaded(bucket, model, tmp_path):
    store = bucket.store(tmp_path / "a")
    location = store.save("model", "letters", model("one", LARGE + 10))
    bucket.prefix().delete([f"{location}/weights/weights.bin".removeprefix(f"{bucket.url}/project/")])
    store.save("model", "letters", model("two", LARGE + 10))
    assert bucket.store(tmp_path / "b").load("model", "letters", Model).note == "two"


def test_a_partition_can_be_given_the_artefact_of_another_without_a_download(bucket, model, tmp_path):
    bucket.store(tmp_path / "a").save("model", "letters", model("one"))
    moved: list = []
    client = Client(bucket.client, lambda name, *_: moved.append(name) if name.endswith("load_file") else None)
    location = bucket.store(tmp_path / "b", client).copy("model", "letters", "copied")
    assert moved == []
    bucket.store(tmp_path / "a").save("model", "letters", model("changed", 200))
    copied = bucket.store(tmp_path / "c").load("model", "copied", Model)
    assert (copied.note, content(copied.weights)) == ("one", content(model("one").weights))
    assert location.startswith(f"{bucket.url}/project/model/copied/")
    assert bucket.store(tmp_path / "c").partitions("model") == ["copied", "letters"]


def test_stores_below_two_prefixes_of_one_bucket_share_nothing(bucket, model, tmp_path):
    bucket.store(tmp_path, path="one").save("model", "letters", model("one"))
    bucket.store(tmp_path, path="one-more").save("model", "letters", model("more", 200))
    assert bucket.store(tmp_path, path="one").load("model", "letters", Model).note == "one"
    assert bucket.store(tmp_path, path="one-more").load("model", "letters", Model).note == "more"


def test_a_save_that_cannot_clear_away_has_saved_and_says_what_is_left(bucket, model, tmp_path, caplog):
    def refuse(operation, _arguments, named):
        if operation == "delete_objects":
            raise RuntimeError("no permission")

    for number in range(3):
        bucket.store(tmp_path / "a", Client(bucket.client, refuse)).save("model", "letters", model(str(number)))
    assert "old versions are left" in caplog.text
    assert bucket.store(tmp_path / "b").load("model", "letters", Model).note == "2"


def test_an_artefact_can_be_removed_and_no_other_goes_with_it(bucket, model, tmp_path):
    store = bucket.store(tmp_path / "a")
    for partition in ("letters", "letters2"):
        store.save("model", partition, model(partition))
    store.remove("model", "letters")
    store.remove("model", "never")
    assert store.partitions("model") == ["letters2"]
    assert not [key for key in bucket.listed() if key.startswith("project/model/letters/")]
    assert bucket.store(tmp_path / "b").load("model", "letters2", Model).note == "letters2"
    store.save("model", "letters", model("again"))
    assert bucket.store(tmp_path / "b").load("model", "letters", Model).note == "again"


def test_a_role_that_may_not_list_uploads_still_has_old_versions_and_copies_removed(bucket, model, tmp_path, caplog):
    def refuse(_operation, arguments, _named):
        if "list_multipart_uploads" in arguments:
            raise RuntimeError("no permission")

    store = bucket.store(tmp_path / "a", Client(bucket.client, refuse))
    for number in range(4):
        store.save("model", "letters", model(str(number)))
    assert "old versions are left" in caplog.text
    assert len(bucket.prefix().below("model", "letters").folders()) == 2
    assert len(list(store.folder("model", "letters").parent.iterdir())) == 2
