"""A folder of work in progress that follows its work to another machine."""

import json
import shutil
import time
import zipfile
from pathlib import Path

import pytest
from s3 import Client

from distil_dagster.data import mirror
from distil_dagster.data.mirror import mirrored_folder
from distil_dagster.data.objects import MissingObjectError, StorageError
from distil_dagster.data.store import ArtefactStore
from distil_dagster.training.checkpoints import is_complete


def write_checkpoint(folder: Path, step: int, text: str = "weights") -> Path:
    """A checkpoint with the files that a training needs to go on, as small as they can be."""
    checkpoint = folder / "checkpoints" / "abc" / f"checkpoint-{step}"
    checkpoint.mkdir(parents=True)
    (checkpoint / "adapter_model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        with zipfile.ZipFile(checkpoint / name, "w") as archive:
            archive.writestr("data", f"{text} {step}")
    (checkpoint / "weights").write_text(f"{text} {step}")
    (checkpoint / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    return checkpoint


def mirrored(store, sub_folder="job1"):
    return mirrored_folder(store, "adapter", "letters", sub_folder, is_complete)


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def wait_until(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def often(monkeypatch):
    monkeypatch.setattr(mirror, "_LOOK_EVERY", 0.05)


@pytest.fixture
def steps(bucket):
    """The checkpoints that the index in the bucket lists."""

    def listed() -> set[str]:
        place = bucket.prefix().below(".work", "adapter", "letters", "job1")
        try:
            index = place.read("mirror.json").decode()
        except MissingObjectError:
            return set()
        return {name for name in ("checkpoint-1/", "checkpoint-2/", "checkpoint-3/") if name in index}

    return listed


def test_with_a_local_store_it_is_the_folder_and_nothing_else(tmp_path):
    with mirrored(ArtefactStore(tmp_path)) as folder:
        assert folder == tmp_path / ".work" / "adapter" / "letters" / "job1"
        write_checkpoint(folder, 1)
    assert len(files(tmp_path)) == 6


def test_whole_checkpoints_go_up_while_the_work_goes_on_and_removed_ones_go_away(bucket, tmp_path, often, steps):
    with mirrored(bucket.store(tmp_path / "a")) as folder:
        first = write_checkpoint(folder, 1)
        half = write_checkpoint(folder, 2)
        (half / "trainer_state.json").unlink()
        wait_until(lambda: steps() == {"checkpoint-1/"})
        (half / "trainer_state.json").write_text(json.dumps({"global_step": 2}))
        shutil.rmtree(first)
        wait_until(lambda: steps() == {"checkpoint-2/"})
        wait_until(lambda: not [key for key in bucket.listed() if "checkpoint-1" in key])


def test_another_machine_goes_on_from_what_was_left(bucket, tmp_path):
    def work_until_interrupted() -> None:
        with mirrored(bucket.store(tmp_path / "a")) as folder:
            (folder / "seed").write_text("7")
            write_checkpoint(folder, 1)
            (write_checkpoint(folder, 2) / "trainer_state.json").unlink()
            raise InterruptedError

    with pytest.raises(InterruptedError):
        work_until_interrupted()
    expected = files(bucket.store(tmp_path / "a").work_folder("adapter", "letters") / "job1")
    expected = {name: content for name, content in expected.items() if "checkpoint-2" not in name}
    with mirrored(bucket.store(tmp_path / "b")) as other:
        assert files(other) == expected
        write_checkpoint(other, 3)
    with mirrored(bucket.store(tmp_path / "c")) as third:
        assert (third / "checkpoints/abc/checkpoint-3/weights").read_text() == "weights 3"


def test_files_that_stand_at_the_beginning_are_there_even_if_the_machine_dies(bucket, tmp_path):
    seed = bucket.store(tmp_path / "a").work_folder("adapter", "letters") / "job1" / "seed"
    seed.parent.mkdir()
    seed.write_text("7")
    with mirrored(bucket.store(tmp_path / "a")), mirrored(bucket.store(tmp_path / "b")) as other:
        assert files(other) == {"seed": b"7"}


def test_a_machine_that_comes_back_takes_over_what_another_one_did_meanwhile(bucket, tmp_path):
    with mirrored(bucket.store(tmp_path / "a")) as folder:
        write_checkpoint(folder, 1, "old")
    with mirrored(bucket.store(tmp_path / "b")) as other:
        (other / "checkpoints/abc/checkpoint-1/weights").write_text("made anew")
        write_checkpoint(other, 2)
    with mirrored(bucket.store(tmp_path / "a")):
        assert files(folder) == files(other)


def test_a_checkpoint_with_a_file_that_is_not_what_was_uploaded_is_left_out_whole(bucket, tmp_path, caplog):
    with mirrored(bucket.store(tmp_path / "a")) as folder:
        for step in (1, 2):
            write_checkpoint(folder, step)
    bucket.put("project/.work/adapter/letters/job1/checkpoints/abc/checkpoint-2/weights", b"cut")
    with mirrored(bucket.store(tmp_path / "b")) as other:
        assert {path.name for path in (other / "checkpoints/abc").iterdir()} == {"checkpoint-1"}
    assert "is not what was uploaded" in caplog.text
    with mirrored(bucket.store(tmp_path / "a")):
        pass
    with mirrored(bucket.store(tmp_path / "c")) as third:
        assert (third / "checkpoints/abc/checkpoint-2/weights").read_text() == "weights 2"


def test_what_did_not_change_is_not_uploaded_again(bucket, tmp_path):
    uploads: list[str] = []
    client = Client(bucket.client, lambda name, given, _: uploads.append(given[2]) if name == "upload_file" else None)
    for _ in range(2):
        with mirrored(bucket.store(tmp_path / "a", client)) as folder:
            if not (folder / "checkpoints").exists():
                write_checkpoint(folder, 1)
    assert len(uploads) == 6


def test_a_bucket_that_fails_meanwhile_stops_no_work_and_is_asked_again(bucket, tmp_path, often, steps, caplog):
    failures: list = []

    def fail_at_first(operation, _arguments, _named):
        if operation == "upload_file" and len(failures) < 2:
            failures.append(1)
            raise RuntimeError("slow down")

    with mirrored(bucket.store(tmp_path / "a", Client(bucket.client, fail_at_first))) as folder:
        write_checkpoint(folder, 1)
        wait_until(lambda: "not in the bucket yet" in caplog.text)
        wait_until(lambda: steps() == {"checkpoint-1/"})


def test_a_bucket_that_fails_at_the_beginning_stops_the_work_before_it_costs_anything(bucket, tmp_path):
    store = bucket.another("gone-at-once").store(tmp_path)
    store.prefix.client.delete_bucket(Bucket="gone-at-once")
    with pytest.raises(StorageError, match="no such bucket"), mirrored(store):
        pytest.fail("the work began")


def test_a_download_that_fails_stops_the_work_and_takes_nothing_from_the_bucket(bucket, tmp_path):
    with mirrored(bucket.store(tmp_path / "a")) as folder:
        write_checkpoint(folder, 1)
    before = bucket.listed()

    def fail(operation, _arguments, _named):
        if operation == "download_file":
            raise RuntimeError("slow down")

    with (
        pytest.raises(StorageError, match="slow down"),
        mirrored(bucket.store(tmp_path / "b", Client(bucket.client, fail))),
    ):
        pytest.fail("the work began")
    assert bucket.listed() == before


def test_saving_the_artefact_drops_the_work_that_led_to_it(bucket, tmp_path):
    from data.test_store import OlderSample

    store = bucket.store(tmp_path / "a")
    with mirrored(store) as folder:
        write_checkpoint(folder, 1)
    with mirrored_folder(store, "adapter", "boats", "job1", is_complete) as folder:
        write_checkpoint(folder, 1)
    store.save("adapter", "letters", OlderSample("done"))
    assert {key.split("/")[2] for key in bucket.listed("project") if key.startswith(".work/")} == {"boats"}
