"""Objects of a bucket, through an S3 client that is given: a prefix, and what can be done below it.

The client is one of boto3, or behaves like one. Its errors become ours here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from distil_dagster.errors import DataError

SCHEME = "s3://"
LARGE = 8 * 1024**2
"""Bytes from which on the client itself moves a file in parts, side by side."""
_TOGETHER = 8
_DELETED_AT_ONCE = 1000

_MISSING = {"NoSuchKey", "404"}
_CREDENTIALS = "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN or AWS_PROFILE"
_ADVICE = {
    "NoSuchBucket": "there is no such bucket; make it, or correct its name",
    "AccessDenied": "access is denied; it needs the permissions that docs/storage.md lists",
    "403": "access is denied; it needs s3:ListBucket and s3:GetObject",
    "InvalidAccessKeyId": f"the credentials are not known; {_CREDENTIALS}",
    "SignatureDoesNotMatch": f"the credentials do not fit; {_CREDENTIALS}",
    "ExpiredToken": f"the credentials have expired; {_CREDENTIALS}",
    "PermanentRedirect": "the bucket is in another region; set AWS_REGION",
}
_SETTINGS = (
    "Credentials, region and endpoint come from AWS's own settings: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
    "AWS_PROFILE, or the machine's role; AWS_REGION; AWS_ENDPOINT_URL"
)


class StorageError(DataError):
    """A bucket that cannot be used, or objects that are not what they should be; names them."""


class MissingObjectError(StorageError):
    """There is no object of that key."""


@dataclass(frozen=True)
class ObjectState:
    """An object below a prefix: its key from there on, its size in bytes, and what changes with its content."""

    key: str
    size: int
    etag: str
    changed: datetime


def is_remote(place: str | Path) -> bool:
    """Whether a place is a prefix of a bucket, and so no folder."""
    return str(place).startswith(SCHEME)


@dataclass(frozen=True)
class Prefix:
    """The objects of a bucket whose keys begin with `path` (empty, or ending with a slash).

    Keys that are given and returned go on from there. Everything raises `StorageError` where the bucket cannot be used.
    """

    client: Any
    bucket: str
    path: str

    @classmethod
    def at(cls, url: str, client: Any) -> Prefix:
        """The prefix that `s3://bucket/path` names.

        Raises:
            StorageError: it names no bucket.
        """
        bucket, _, path = url.removeprefix(SCHEME).partition("/")
        if not url.startswith(SCHEME) or not bucket:
            raise StorageError(f"{url}: must be {SCHEME}bucket/prefix")
        path = path.strip("/")
        return cls(client, bucket, f"{path}/" if path else "")

    def below(self, *parts: str) -> Prefix:
        """The prefix of a folder below this one."""
        return Prefix(self.client, self.bucket, self.path + "".join(f"{part}/" for part in parts))

    def url(self, key: str = "") -> str:
        """What people are shown."""
        return f"{SCHEME}{self.bucket}/{self.path}{key}".rstrip("/")

    def objects(self) -> list[ObjectState]:
        """All objects, also those in folders below."""
        return [
            ObjectState(found["Key"].removeprefix(self.path), found["Size"], found["ETag"], found["LastModified"])
            for page in self._pages("list_objects_v2")
            for found in page.get("Contents", [])
        ]

    def folders(self) -> list[str]:
        """The names of the folders right below."""
        return [
            found["Prefix"].removeprefix(self.path).rstrip("/")
            for page in self._pages("list_objects_v2", Delimiter="/")
            for found in page.get("CommonPrefixes", [])
        ]

    def read(self, key: str) -> bytes:
        """An object's content.

        Raises:
            MissingObjectError: there is none.
        """
        with self._explained(key):
            return bytes(self.client.get_object(Bucket=self.bucket, Key=self.path + key)["Body"].read())

    def write(self, key: str, content: bytes) -> None:
        """Put an object in one request: whoever reads it sees all of it, or what was there before."""
        with self._explained(key):
            self.client.put_object(Bucket=self.bucket, Key=self.path + key, Body=content)

    def upload(self, path: Path, key: str) -> None:
        """Put a file, a large one in parts; there is no object before the last part has come."""
        with self._explained(key):
            self.client.upload_file(str(path), self.bucket, self.path + key)

    def download(self, key: str, path: Path) -> None:
        """Write an object's content to a file.

        Raises:
            MissingObjectError: there is none.
        """
        with self._explained(key):
            self.client.download_file(self.bucket, self.path + key, str(path))

    def take(self, source: Prefix, source_key: str, key: str) -> None:
        """Copy an object within the store of objects, so that its bytes do not pass through this machine.

        Raises:
            MissingObjectError: there is no such source.
        """
        place = {"Bucket": source.bucket, "Key": source.path + source_key}
        with source._explained(source_key):
            self.client.copy(place, self.bucket, self.path + key)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that are gone already do not matter."""
        full = [{"Key": self.path + key} for key in keys]
        for start in range(0, len(full), _DELETED_AT_ONCE):
            with self._explained(""):
                some = {"Objects": full[start : start + _DELETED_AT_ONCE], "Quiet": True}
                answer = self.client.delete_objects(Bucket=self.bucket, Delete=some)
            for failed in answer.get("Errors", []):
                raise StorageError(f"{SCHEME}{self.bucket}/{failed['Key']}: cannot be deleted: {failed['Message']}")

    def end_uploads(self, before: datetime) -> None:
        """Drop the parts of uploads that began before a time and never ended: they cost, and show nowhere."""
        uploads = [found for page in self._pages("list_multipart_uploads") for found in page.get("Uploads", [])]
        for upload in uploads:
            if upload["Initiated"] < before:
                with self._explained(upload["Key"].removeprefix(self.path)):
                    self.client.abort_multipart_upload(
                        Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                    )

    def _pages(self, operation: str, **more: str) -> list[dict[str, Any]]:
        with self._explained(""):
            return list(self.client.get_paginator(operation).paginate(Bucket=self.bucket, Prefix=self.path, **more))

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        """What goes wrong in one call of the client, as an error of ours; trouble with local files stays what it is."""
        try:
            yield
        except OSError:
            raise
        except self.client.exceptions.ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _MISSING:
                raise MissingObjectError(f"{self.url(key)}: there is no such object") from None
            raise StorageError(f"{self.url(key)}: {_ADVICE.get(code, error)}") from error
        except Exception as error:  # The client is another library's, and so are its errors.
            raise StorageError(f"{self.url(key)}: {error}. {_SETTINGS}") from error


def move_files(sizes: Mapping[str, int], move: Callable[[str], None]) -> None:
    """Call `move` for each name: small files side by side, large ones one by one, as the client cuts those in parts.

    Raises:
        StorageError: the first error of `move`; what has not begun by then is left.
    """
    small = [name for name, size in sizes.items() if size < LARGE]
    with ThreadPoolExecutor(_TOGETHER) as pool:
        for _ in pool.map(move, small):
            pass
    for name in sizes:
        if sizes[name] >= LARGE:
            move(name)
