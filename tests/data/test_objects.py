import threading
from datetime import UTC, datetime, timedelta

import pytest
from s3 import Client

from distil_dagster.data.objects import LARGE, MissingObjectError, Prefix, StorageError, is_remote, move_files


@pytest.mark.parametrize(
    ("url", "path", "shown"),
    [
        ("s3://bucket/a/b", "a/b/", "s3://bucket/a/b"),
        ("s3://bucket/a/b/", "a/b/", "s3://bucket/a/b"),
        ("s3://bucket", "", "s3://bucket"),
        ("s3://bucket/", "", "s3://bucket"),
    ],
)
def test_a_url_names_a_bucket_and_what_its_keys_begin_with(url, path, shown):
    prefix = Prefix.at(url, None)
    assert (prefix.bucket, prefix.path, prefix.url()) == ("bucket", path, shown)
    assert prefix.below("c", "d").url("e.txt") == f"{shown}/c/d/e.txt"


@pytest.mark.parametrize("url", ["s3://", "s3:///a", "/folder", "http://bucket/a"])
def test_what_names_no_bucket_is_refused(url):
    with pytest.raises(StorageError, match="must be s3://bucket/prefix"):
        Prefix.at(url, None)


def test_only_prefixes_of_buckets_are_remote(tmp_path):
    assert is_remote("s3://bucket/a")
    assert not is_remote(tmp_path)
    assert not is_remote("artefacts")


def test_objects_are_written_read_listed_copied_and_deleted_below_their_prefix_only(bucket, tmp_path):
    letters, boats = bucket.prefix("letters"), bucket.prefix("letters2")
    boats.write("a.txt", b"other")
    letters.write("a.txt", b"text")
    (tmp_path / "b").write_bytes(b"file")
    letters.below("sub").upload(tmp_path / "b", "b.txt")
    letters.below("sub").take(letters, "a.txt", "c.txt")
    assert sorted(found.key for found in letters.objects()) == ["a.txt", "sub/b.txt", "sub/c.txt"]
    assert letters.folders() == ["sub"]
    assert letters.read("sub/c.txt") == b"text"
    letters.download("sub/b.txt", tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == b"file"
    letters.delete(found.key for found in letters.objects())
    assert bucket.listed() == {"letters2/a.txt"}


def test_more_objects_than_one_answer_holds_are_all_listed_and_deleted(bucket):
    prefix = bucket.prefix()
    move_files(dict.fromkeys(map(str, range(1005)), 1), lambda name: prefix.write(name, b"x"))
    assert len(prefix.objects()) == 1005
    prefix.delete(found.key for found in prefix.objects())
    assert prefix.objects() == []


def test_a_missing_object_is_told_from_a_missing_bucket(bucket, tmp_path):
    prefix = bucket.prefix()
    for ask in (
        lambda: prefix.read("none"),
        lambda: prefix.download("none", tmp_path / "x"),
        lambda: prefix.take(prefix, "none", "copy"),
    ):
        with pytest.raises(MissingObjectError, match=f"{bucket.url}/project/none: there is no such object"):
            ask()
    nowhere = Prefix.at("s3://no-such-bucket/a", bucket.client)
    with pytest.raises(StorageError, match="s3://no-such-bucket/a: there is no such bucket; make it") as raised:
        nowhere.objects()
    assert not isinstance(raised.value, MissingObjectError)


def test_an_upload_to_a_missing_bucket_names_it(bucket, tmp_path):
    (tmp_path / "file").write_text("text")
    with pytest.raises(StorageError, match="no-such-bucket"):
        Prefix.at("s3://no-such-bucket", bucket.client).upload(tmp_path / "file", "file")


def test_without_credentials_the_message_says_where_they_come_from(bucket, monkeypatch):
    from distil_dagster.orchestration.s3 import s3_client

    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StorageError, match=r"Unable to locate credentials.*AWS_ACCESS_KEY_ID"):
        Prefix.at(bucket.url, s3_client()).objects()


def test_a_server_that_is_not_there_is_named(bucket, monkeypatch):
    from distil_dagster.orchestration.s3 import s3_client

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(StorageError, match=r"127\.0\.0\.1:9.*AWS_ENDPOINT_URL"):
        Prefix.at(bucket.url, s3_client()).read("a")


def test_trouble_with_a_local_file_is_no_trouble_of_the_bucket(bucket, tmp_path):
    with pytest.raises(FileNotFoundError):
        bucket.prefix().upload(tmp_path / "none", "a")


def test_an_object_that_cannot_be_deleted_is_an_error(bucket):
    class Refusing(Client):
        def delete_objects(self, **named):
            return {"Errors": [{"Key": "project/a", "Message": "Access Denied"}]}

    prefix = Prefix.at(f"{bucket.url}/project", Refusing(bucket.client, lambda *_: None))
    with pytest.raises(StorageError, match="/project/a: cannot be deleted: Access Denied"):
        prefix.delete(["a"])


def test_parts_of_uploads_that_never_ended_are_dropped(bucket):
    bucket.client.create_multipart_upload(Bucket=bucket.name, Key="project/a")
    bucket.client.create_multipart_upload(Bucket=bucket.name, Key="project2/a")
    # moto says of all uploads that they began in 2010.
    bucket.prefix().end_uploads(datetime(2009, 1, 1, tzinfo=UTC))
    assert len(bucket.client.list_multipart_uploads(Bucket=bucket.name)["Uploads"]) == 2
    bucket.prefix().end_uploads(datetime.now(UTC) - timedelta(days=1))
    (left,) = bucket.client.list_multipart_uploads(Bucket=bucket.name)["Uploads"]
    assert left["Key"] == "project2/a"


def test_small_files_move_side_by_side_and_large_ones_one_by_one():
    together = threading.Barrier(4, timeout=20)
    large: list[str] = []

    def move(name: str) -> None:
        if name.startswith("small"):
            together.wait()
        else:
            large.append(name)
            assert threading.current_thread() is threading.main_thread()

    move_files({"large1": LARGE, **{f"small{at}": 1 for at in range(4)}, "large2": LARGE + 1}, move)
    assert large == ["large1", "large2"]


def test_the_first_failure_ends_the_moving():
    moved: list[str] = []

    def move(name: str) -> None:
        if name == "0":
            raise StorageError("full")
        threading.Event().wait(0.02)
        moved.append(name)

    with pytest.raises(StorageError, match="full"):
        move_files(dict.fromkeys(map(str, range(500)), 1), move)
    assert len(moved) < 100
