"""A folder of work in progress that follows its work to another machine, by way of a bucket.

Checkpoints (folders called `checkpoint-…`) are uploaded while the work goes on, each when it is whole; other files at
the beginning and in the end. `mirror.json` is put last, in one request, and lists what counts: a machine that goes on
takes over just that.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from distil_dagster.data.messages import Frozen
from distil_dagster.data.objects import MissingObjectError, Prefix, StorageError, move_files
from distil_dagster.data.store import ArtefactStore
from distil_dagster.data.versions import ChangedObjectError, Name, StoredFile, fetch_file, holds, stored_file

log = logging.getLogger("distil_dagster")

INDEX = "mirror.json"
_CHECKPOINT = "checkpoint-"
_LOOK_EVERY = 10.0
"""Seconds between two looks for new checkpoints."""
_PATIENCE = 600.0
"""Seconds that the end of the work waits for an upload that is under way."""


@contextmanager
def mirrored_folder(
    store: ArtefactStore, name: str, partition: str | None, sub_folder: str, is_whole: Callable[[Path], bool]
) -> Iterator[Path]:
    """A folder below the artefact's work folder, with what an earlier machine left of it.

    While the block runs, checkpoints for which `is_whole` is true go to the bucket, and those that were removed here
    are removed there; when it ends, with or without an error, so do all files. They stay until the artefact is saved.
    For a local store it is just the folder.

    Raises:
        StorageError: the bucket cannot be used at the beginning. Later failures are logged, and do not stop the work.
    """
    folder = store.work_folder(name, partition) / sub_folder
    folder.mkdir(parents=True, exist_ok=True)
    prefix = store.work_prefix(name, partition)
    if prefix is None:
        yield folder
        return
    mirror = Mirror(prefix.below(*PurePosixPath(sub_folder).parts), folder, is_whole)
    mirror.fetch()
    mirror.upload(everything=True)
    ended = threading.Event()
    uploader = threading.Thread(target=_upload_until, args=(mirror, ended), name="checkpoints to bucket", daemon=True)
    uploader.start()
    try:
        yield folder
    finally:
        ended.set()
        uploader.join(_PATIENCE)


def _upload_until(mirror: Mirror, ended: threading.Event) -> None:
    while True:
        is_last = ended.wait(_LOOK_EVERY)
        try:
            mirror.upload(everything=is_last)
        except (StorageError, OSError) as error:
            log.warning("work in progress is not in the bucket yet: %s", error)
        if is_last:
            return


class _Index(Frozen):
    files: dict[Name, StoredFile]


@dataclass
class Mirror:
    """A folder and the prefix that mirrors it; `uploaded` is what the prefix is known to hold."""

    prefix: Prefix
    folder: Path
    is_whole: Callable[[Path], bool]
    uploaded: dict[str, StoredFile] = field(default_factory=dict)

    def fetch(self) -> None:
        """Take over what the index lists; of a checkpoint all or nothing.

        Raises:
            StorageError: the bucket cannot be used.
        """
        try:
            self.uploaded = _Index.model_validate_json(self.prefix.read(INDEX)).files
        except MissingObjectError:
            return
        except ValidationError as error:
            raise StorageError(f"{self.prefix.url(INDEX)}: is not what was written: {error}") from None
        lacking = {name: file for name, file in self.uploaded.items() if not holds(self.folder / name, file)}
        broken: set[str] = set()

        def move(name: str) -> None:
            try:
                fetch_file(self.prefix, name, lacking[name], self.folder)
            except (MissingObjectError, ChangedObjectError) as error:
                # An upload was cut off between the files and the index.
                log.warning("left out: %s", error)
                broken.add(name)

        move_files({name: file.size for name, file in lacking.items()}, move)
        if broken:
            self._change({name: file for name, file in self.uploaded.items() if not self._is_lost(name, broken)})

    def upload(self, *, everything: bool) -> None:
        """Bring the prefix to the state of the folder: its whole checkpoints, and with `everything` all other files.

        Raises:
            StorageError: the bucket cannot be used.
            OSError: a file went away while it was read.
        """
        wanted = self._checkpoints()
        wanted |= self._other_files() if everything else {n: f for n, f in self.uploaded.items() if not _checkpoint(n)}
        new = {name: file for name, file in wanted.items() if self.uploaded.get(name) != file}
        gone = self.uploaded.keys() - wanted.keys()
        if not new and not gone:
            return
        move_files(
            {name: file.size for name, file in new.items()},
            lambda name: self.prefix.upload(self.folder / name, name),
        )
        self._change(wanted)

    def _change(self, files: dict[str, StoredFile]) -> None:
        gone = self.uploaded.keys() - files.keys()
        self.prefix.write(INDEX, _Index(files=files).model_dump_json(indent=1).encode())
        self.uploaded = files
        self.prefix.delete(gone)

    def _checkpoints(self) -> dict[str, StoredFile]:
        whole = [path for path in self.folder.rglob(f"{_CHECKPOINT}*") if path.is_dir() and self.is_whole(path)]
        return self._stored(path for checkpoint in whole for path in checkpoint.rglob("*"))

    def _other_files(self) -> dict[str, StoredFile]:
        return self._stored(path for path in self.folder.rglob("*") if not _checkpoint(self._name(path)))

    def _stored(self, paths: Iterable[Path]) -> dict[str, StoredFile]:
        names = {self._name(path): path for path in paths if path.is_file()}
        return {
            name: self._known(name, path) or stored_file(path)
            for name, path in names.items()
            if not any(part.startswith(".") for part in PurePosixPath(name).parts)
        }

    def _known(self, name: str, path: Path) -> StoredFile | None:
        """What was uploaded, where the file has not been written since: checkpoints are large."""
        file, state = self.uploaded.get(name), path.stat()
        is_same = file is not None and (file.size, file.modified_ns) == (state.st_size, state.st_mtime_ns)
        return file if is_same else None

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _is_lost(self, name: str, broken: set[str]) -> bool:
        """Whether a file is among the broken ones, or of the same checkpoint as one, which goes from here too."""
        checkpoint = _checkpoint(name)
        if checkpoint is None or checkpoint not in map(_checkpoint, broken):
            return name in broken
        shutil.rmtree(self.folder / checkpoint, ignore_errors=True)
        return True


def _checkpoint(name: str) -> str | None:
    """The checkpoint that a file belongs to, as a path below the folder."""
    parts = PurePosixPath(name).parts
    for at, part in enumerate(parts):
        if part.startswith(_CHECKPOINT):
            return "/".join(parts[: at + 1])
    return None
