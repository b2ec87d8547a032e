"""Which data files a job's folder or prefix holds, and in which version."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from distil_dagster.data.examples import content_id
from distil_dagster.data.objects import Prefix, is_remote

DATA_FILES = (
    "traces.jsonl",
    *(f"{name}{end}" for name in ("train", "test", "unstructured") for end in (".jsonl", ".csv")),
)


@dataclass(frozen=True)
class FileState:
    """A file's size in bytes, and a version that changes with its content."""

    size: int
    version: str


def job_files(place: str | Path, client: Any = None) -> dict[str, FileState]:
    """The data files of a job's folder, by name; or those of a prefix `s3://…`, which `client` asks for.

    A version is the SHA-256 of a file, and of an object its ETag, which costs no download: the two do not compare.

    Raises:
        DataError: the bucket cannot be used.
    """
    if is_remote(place):
        listed = {found.key: found for found in Prefix.at(str(place), client).objects()}
        return {name: FileState(listed[name].size, listed[name].etag) for name in DATA_FILES if name in listed}
    found = {}
    for name in DATA_FILES:
        path = Path(place) / name
        if path.is_file():
            found[name] = FileState(path.stat().st_size, file_sha256(path))
    return found


def folder_version(folder: Path) -> str:
    """A version of a folder that changes with the names and the content of the files in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return content_id([[str(path.relative_to(folder)), file_sha256(path)] for path in files])


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal; computed once in a process while the file stays as it is."""
    state = path.stat()
    return _sha256(path, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


@lru_cache(maxsize=4096)
def _sha256(path: Path, _size: int, _modified_ns: int, _changed_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
