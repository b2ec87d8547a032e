import hashlib
import os

import pytest

from distil_dagster.data.fingerprints import DATA_FILES, FileState, file_sha256, job_files
from distil_dagster.errors import DataError


def test_the_data_files_of_a_folder_are_known_by_their_content(tmp_path):
    (tmp_path / "traces.jsonl").write_bytes(b"{}\n")
    (tmp_path / "notes.txt").write_bytes(b"not ours")
    sha256 = hashlib.sha256(b"{}\n").hexdigest()
    assert job_files(tmp_path) == job_files(str(tmp_path)) == {"traces.jsonl": FileState(3, sha256)}
    os.utime(tmp_path / "traces.jsonl", (1, 1))
    assert job_files(tmp_path) == {"traces.jsonl": FileState(3, sha256)}
    (tmp_path / "traces.jsonl").write_bytes(b"[]\n")
    assert job_files(tmp_path)["traces.jsonl"].version != sha256


def test_a_file_is_read_once_while_it_stays_as_it_is(tmp_path, monkeypatch):
    path = tmp_path / "large"
    path.write_bytes(b"x")
    reads: list = []
    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *given: reads.append(1) or digest(*given))
    assert file_sha256(path) == file_sha256(path) == hashlib.sha256(b"x").hexdigest()
    assert len(reads) == 1
    state = path.stat()
    path.write_bytes(b"y")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert file_sha256(path) == hashlib.sha256(b"y").hexdigest()


def test_the_data_files_below_a_prefix_are_known_without_a_download(bucket):
    for name in ("traces.jsonl", "train.csv", "job_description.json", "other/test.jsonl"):
        bucket.put(f"jobs/letters/{name}", b"{}\n")
    bucket.put("jobs/letters2/test.jsonl", b"{}\n")
    place = f"{bucket.url}/jobs/letters"
    before = job_files(place, bucket.client)
    assert before.keys() == {"traces.jsonl", "train.csv"}
    assert before["traces.jsonl"].size == 3
    bucket.put("jobs/letters/traces.jsonl", b"[]\n")
    after = job_files(place, bucket.client)
    assert after["traces.jsonl"] != before["traces.jsonl"]
    assert after["train.csv"] == before["train.csv"]


def test_a_bucket_that_is_not_there_is_named(bucket):
    with pytest.raises(DataError, match="s3://no-such-bucket/a: there is no such bucket"):
        job_files("s3://no-such-bucket/a", bucket.client)


def test_all_files_that_a_job_can_have_are_watched():
    assert set(DATA_FILES) == {
        "traces.jsonl", "train.jsonl", "train.csv", "test.jsonl", "test.csv", "unstructured.jsonl", "unstructured.csv",
    }  # fmt: skip
