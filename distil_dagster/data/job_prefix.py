"""A job's files from a prefix of a bucket, as a folder of this machine."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from distil_dagster.config.loading import JOB_DESCRIPTION
from distil_dagster.data.fingerprints import DATA_FILES
from distil_dagster.data.messages import Frozen
from distil_dagster.data.objects import ObjectState, Prefix, StorageError
from distil_dagster.data.store import write_text

JOB_FILES = (JOB_DESCRIPTION, *DATA_FILES)


class _Fetched(Frozen):
    """A file as it was fetched: the object's ETag, and the file's own size and time of modification (ns)."""

    etag: str
    size: int
    modified_ns: int


_FETCHED: TypeAdapter[dict[str, _Fetched]] = TypeAdapter(dict[str, _Fetched])


def fetch_job_files(prefix: Prefix, work: Path, names: Collection[str] = JOB_FILES) -> Path:
    """The folder below `work` with the job's files as they are in the bucket now; others there are left alone.

    Only what changed is fetched, each file aside and renamed. What is gone from the bucket is gone from the folder.
    With fewer `names`, that holds for these, and the job's other files stay as they were fetched last, if ever.

    Raises:
        StorageError: the bucket cannot be used, or there is no job description.
    """
    listed = {found.key: found for found in prefix.objects() if found.key in JOB_FILES}
    if JOB_DESCRIPTION not in listed:
        raise StorageError(
            f"{prefix.url()}: holds no {JOB_DESCRIPTION}; put it there, with traces.jsonl or train and test files, or "
            "correct the prefix"
        )
    name = hashlib.sha256(prefix.url().encode()).hexdigest()[:16]
    folder, note = work / "data" / name, work / "data" / f".{name}.json"
    folder.mkdir(parents=True, exist_ok=True)
    before = _read_note(note)
    now = {key: fetched for key, fetched in before.items() if key not in names}
    for key in names:
        if key in listed:
            now[key] = _file(prefix, listed[key], folder, before.get(key))
        else:
            (folder / key).unlink(missing_ok=True)
    if now != before:
        write_text(note, _FETCHED.dump_json(now).decode())
    return folder


def _file(prefix: Prefix, listed: ObjectState, folder: Path, before: _Fetched | None) -> _Fetched:
    path = folder / listed.key
    if before is not None and path.is_file() and before == _as_fetched(path, listed.etag):
        return before
    aside = folder.parent / f".{folder.name}.{uuid.uuid4().hex}.part"
    try:
        prefix.download(listed.key, aside)
        if aside.stat().st_size != listed.size:
            raise StorageError(f"{prefix.url(listed.key)}: was replaced while it was fetched; try again")
        fetched = _as_fetched(aside, listed.etag)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return fetched


def _as_fetched(path: Path, etag: str) -> _Fetched:
    state = path.stat()
    return _Fetched(etag=etag, size=state.st_size, modified_ns=state.st_mtime_ns)


def _read_note(note: Path) -> dict[str, _Fetched]:
    try:
        return _FETCHED.validate_json(note.read_bytes())
    except (FileNotFoundError, ValidationError):
        return {}
