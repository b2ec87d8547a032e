"""A job's data in a bucket, as a folder of this machine."""

import pytest
from s3 import Client

from distil_dagster.data.folder import JobFolder
from distil_dagster.data.job_prefix import fetch_job_files
from distil_dagster.data.objects import Prefix, StorageError

DESCRIPTION = b'{"task_description": "Sort."}'


@pytest.fixture
def job(bucket):
    bucket.put("jobs/letters/job_description.json", DESCRIPTION)
    bucket.put("jobs/letters/traces.jsonl", b'{"a": 1}\n')
    bucket.put("jobs/letters/test.csv", b"question,answer\nq,a\n")
    return bucket


def fetched(bucket, work, seam=lambda *_: None):
    return fetch_job_files(Prefix.at(f"{bucket.url}/jobs/letters", Client(bucket.client, seam)), work)


def names(folder) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_files_of_a_job_are_fetched_and_no_others(job, tmp_path):
    job.put("jobs/letters/gold.jsonl", b"the answers")
    job.put("jobs/letters/old/traces.jsonl", b"older")
    job.put("jobs/letters2/train.csv", b"another job's")
    folder = fetched(job, tmp_path)
    assert names(folder) == {"job_description.json", "traces.jsonl", "test.csv"}
    assert (folder / "traces.jsonl").read_bytes() == b'{"a": 1}\n'
    assert JobFolder(folder).job_description().task_description == "Sort."
    assert folder.parent == tmp_path / "data"


def test_only_what_changed_is_fetched_again(job, tmp_path):
    downloads: list[str] = []

    def note(operation, arguments, _named):
        downloads.append(arguments[1]) if operation == "download_file" else None

    fetched(job, tmp_path, note)
    assert len(downloads) == 3
    fetched(job, tmp_path, note)
    assert len(downloads) == 3
    job.put("jobs/letters/traces.jsonl", b'{"b": 2}\n')
    folder = fetched(job, tmp_path, note)
    assert downloads[3:] == ["jobs/letters/traces.jsonl"]
    assert (folder / "traces.jsonl").read_bytes() == b'{"b": 2}\n'


def test_a_local_file_that_was_changed_or_lost_is_fetched_again(job, tmp_path):
    folder = fetched(job, tmp_path)
    (folder / "traces.jsonl").write_bytes(b"changed")
    (folder / "test.csv").unlink()
    fetched(job, tmp_path)
    assert (folder / "traces.jsonl").read_bytes() == b'{"a": 1}\n'
    assert (folder / "test.csv").is_file()


def test_what_is_gone_from_the_bucket_is_gone_from_the_folder(job, tmp_path):
    fetched(job, tmp_path)
    job.client.delete_object(Bucket=job.name, Key="jobs/letters/test.csv")
    assert names(fetched(job, tmp_path)) == {"job_description.json", "traces.jsonl"}


def test_a_fetch_that_was_cut_off_leaves_the_old_file_or_the_new_one(job, tmp_path):
    fetched(job, tmp_path)
    for name in ("traces.jsonl", "test.csv"):
        job.put(f"jobs/letters/{name}", b"new")

    def cut(operation, arguments, _named):
        if operation == "download_file" and arguments[1].endswith("traces.jsonl"):
            raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        fetched(job, tmp_path, cut)
    (folder,) = (path for path in (tmp_path / "data").iterdir() if path.is_dir())
    assert (folder / "traces.jsonl").read_bytes() == b'{"a": 1}\n'
    assert not list((tmp_path / "data").glob("*.part"))
    assert (fetched(job, tmp_path) / "traces.jsonl").read_bytes() == b"new"


def test_what_was_not_asked_for_is_neither_fetched_nor_removed_nor_forgotten(job, tmp_path):
    downloads: list[str] = []

    def note(operation, arguments, _named):
        downloads.append(arguments[1].rpartition("/")[2]) if operation == "download_file" else None

    prefix = Prefix.at(f"{job.url}/jobs/letters", Client(job.client, note))
    folder = fetch_job_files(prefix, tmp_path, ["job_description.json"])
    assert names(folder) == {"job_description.json"}
    fetch_job_files(prefix, tmp_path)
    downloads.clear()
    job.put("jobs/letters/job_description.json", b'{"task_description": "Sort anew."}')
    job.client.delete_object(Bucket=job.name, Key="jobs/letters/test.csv")
    fetch_job_files(prefix, tmp_path, ["job_description.json"])
    assert names(folder) == {"job_description.json", "traces.jsonl", "test.csv"}
    assert JobFolder(folder).job_description().task_description == "Sort anew."
    fetch_job_files(prefix, tmp_path)
    assert names(folder) == {"job_description.json", "traces.jsonl"}
    assert downloads == ["job_description.json"]


def test_two_prefixes_have_two_folders(job, tmp_path):
    job.put("jobs/boats/job_description.json", DESCRIPTION)
    boats = fetch_job_files(job.prefix("jobs/boats"), tmp_path)
    assert boats != fetched(job, tmp_path)
    assert names(boats) == {"job_description.json"}


def test_a_prefix_without_a_job_description_is_named_with_what_to_do(bucket, tmp_path):
    bucket.put("jobs/letters/traces.jsonl", b"{}\n")
    with pytest.raises(StorageError, match=f"{bucket.url}/jobs/letters: holds no job_description.json; put it there"):
        fetched(bucket, tmp_path)
    assert not list(tmp_path.rglob("*.jsonl"))


def test_a_note_of_what_was_fetched_that_cannot_be_read_costs_a_download_and_no_more(job, tmp_path):
    fetched(job, tmp_path)
    (note,) = (tmp_path / "data").glob(".*.json")
    note.write_text("{")
    assert names(fetched(job, tmp_path)) == {"job_description.json", "traces.jsonl", "test.csv"}
