"""Versions of a folder in a bucket: uploaded beside each other, and made current by one small object.

Below the folder's prefix each version has a prefix of its own, which is written once. `current.json` names the version
that holds, with every file's size and SHA-256. It is put in one request when all files are there: whoever reads it sees
the old version or the new one, whole.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, ValidationError

from distil_dagster.data.fingerprints import file_sha256
from distil_dagster.data.messages import Frozen
from distil_dagster.data.objects import LARGE, MissingObjectError, Prefix, StorageError, move_files

CURRENT = "current.json"
LEFT_FOR = timedelta(days=1)
"""After which time what an interrupted upload left is taken to be left for good."""


def _stays_inside(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError("leads out of the folder")
    return name


Name = Annotated[str, AfterValidator(_stays_inside)]


class ChangedObjectError(StorageError):
    """An object is not what was uploaded under its key."""


class StoredFile(Frozen):
    """A file's size in bytes, the SHA-256 of its content, and when it was modified (ns since 1970).

    The time goes with it to other machines: a folder of weights is known by it.
    """

    size: int
    sha256: str
    modified_ns: int


class Manifest(Frozen):
    """A version: its files by their paths below the folder, and the folders without any; and which one it replaced."""

    version: Name
    replaced: str | None = None
    files: dict[Name, StoredFile]
    folders: tuple[Name, ...] = ()


def new_version() -> str:
    """A name that no other version has; later ones come after earlier ones."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{uuid.uuid4().hex[:8]}"


def read_current(place: Prefix) -> Manifest:
    """The version that holds.

    Raises:
        MissingObjectError: there is none.
        StorageError: the bucket cannot be used, or the object is no manifest.
    """
    content = place.read(CURRENT)
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        raise StorageError(f"{place.url(CURRENT)}: is not what was written: {error.errors()[0]['msg']}") from None


def make_current(place: Prefix, manifest: Manifest) -> None:
    """Let a version hold whose files are all there."""
    place.write(CURRENT, manifest.model_dump_json(indent=1).encode())


def upload_version(place: Prefix, version: str, folder: Path, before: Manifest | None) -> Manifest:
    """Upload a folder's files as a version. Large ones that the version before has too are copied within the bucket."""
    paths = sorted(folder.rglob("*"))
    files = {str(path.relative_to(folder)): stored_file(path) for path in paths if path.is_file()}
    empty = tuple(str(path.relative_to(folder)) for path in paths if path.is_dir() and not any(path.iterdir()))
    known = {} if before is None else {file.sha256: name for name, file in before.files.items()}
    target = place.below(version)

    def move(name: str) -> None:
        file = files[name]
        if before is not None and file.size >= LARGE and file.sha256 in known:
            with suppress(MissingObjectError):
                target.take(place.below(before.version), known[file.sha256], name)
                return
        target.upload(folder / name, name)

    move_files({name: file.size for name, file in files.items()}, move)
    return Manifest(version=version, replaced=before and before.version, files=files, folders=empty)


def copy_version(source: Prefix, manifest: Manifest, place: Prefix, version: str, before: Manifest | None) -> Manifest:
    """Copy a version to another folder of the bucket, as a version of it.

    Raises:
        MissingObjectError: it was replaced meanwhile.
    """
    origin, target = source.below(manifest.version), place.below(version)
    sizes = {name: file.size for name, file in manifest.files.items()}
    move_files(sizes, lambda name: target.take(origin, name, name))
    return manifest.model_copy(update={"version": version, "replaced": before and before.version})


def fetch_version(place: Prefix, manifest: Manifest, folder: Path) -> bool:
    """Make a folder of this machine hold a version; whether anything of it was lacking.

    Raises:
        MissingObjectError: the version was replaced meanwhile.
        ChangedObjectError: a file is not what was uploaded.
    """
    for name in manifest.folders:
        (folder / name).mkdir(parents=True, exist_ok=True)
    return fetch_files(place.below(manifest.version), manifest.files, folder)


def fetch_files(source: Prefix, files: Mapping[str, StoredFile], folder: Path) -> bool:
    """Download the files that a folder lacks or has otherwise, each aside and renamed; whether there were any.

    Raises:
        MissingObjectError: a file is not there.
        ChangedObjectError: a file is not what was uploaded.
    """
    lacking = {name: file.size for name, file in files.items() if not holds(folder / name, file)}
    move_files(lacking, lambda name: fetch_file(source, name, files[name], folder))
    return bool(lacking)


def fetch_file(source: Prefix, name: str, file: StoredFile, folder: Path) -> None:
    """Download one file of a folder; raises as `fetch_files`."""
    folder.mkdir(parents=True, exist_ok=True)
    # Beside the folder, so that nothing else ever stands in it.
    aside = folder.parent / f".{folder.name}.{uuid.uuid4().hex}.part"
    try:
        source.download(name, aside)
        if not holds(aside, file):
            raise ChangedObjectError(
                f"{source.url(name)}: is not what was uploaded: {aside.stat().st_size} bytes with SHA-256 "
                f"{file_sha256(aside)}, where {file.size} with {file.sha256} were"
            )
        os.utime(aside, ns=(file.modified_ns, file.modified_ns))
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        aside.replace(folder / name)
    finally:
        aside.unlink(missing_ok=True)


def stored_file(path: Path) -> StoredFile:
    """What tells a file from other ones."""
    state = path.stat()
    return StoredFile(size=state.st_size, sha256=file_sha256(path), modified_ns=state.st_mtime_ns)


def holds(path: Path, file: StoredFile) -> bool:
    """Whether a file is there with this content."""
    return path.is_file() and path.stat().st_size == file.size and file_sha256(path) == file.sha256


def remove_old_versions(place: Prefix, current: Manifest, before: Manifest | None, now: datetime) -> None:
    """Remove what no reader needs once `current` has replaced `before`.

    `before` stays, for those who are reading it. The version before that goes, and so does what is neither and older
    than a day: versions whose upload was interrupted.
    """
    found = [(state.key.partition("/")[0], state) for state in place.objects() if "/" in state.key]
    last_change: dict[str, datetime] = {}
    for version, state in found:
        last_change[version] = max(state.changed, last_change.get(version, state.changed))
    gone = {version for version, changed in last_change.items() if changed < now - LEFT_FOR}
    gone |= {before.replaced} if before is not None and before.replaced is not None else set()
    gone -= {current.version, current.replaced}
    place.delete(state.key for version, state in found if version in gone)
