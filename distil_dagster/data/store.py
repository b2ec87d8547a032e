"""Artefacts: a folder per asset and partition, never seen half written. Here those of a local folder."""

from __future__ import annotations

import ctypes
import errno
import glob
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from distil_dagster.data.artefact_files import (
    JSON_FILE,
    Artefact,
    link_tree,
    read_artefact,
    require_artefact,
    write_artefact,
)
from distil_dagster.data.objects import Prefix

UNPARTITIONED = "all"
# Of Linux's renameat2, in <linux/fs.h> and <fcntl.h>.
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A new folder beside `target` that takes its place when the block ends without an error."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.parent / f".{target.name}.{uuid.uuid4().hex}.part"
    aside.mkdir()
    try:
        yield aside
        _replace_folder(aside, target)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a file aside and rename it, so that a reader sees all of it or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.parent / f".{path.name}.{uuid.uuid4().hex}.part"
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


@dataclass(frozen=True)
class ArtefactStore:
    """All artefacts under one root folder; `RemoteArtefactStore` keeps them in a bucket.

    `work` holds work in progress (default: `.work` below the root).
    """

    root: Path
    work: Path | None = None

    def folder(self, name: str, partition: str | None) -> Path:
        """The folder of this machine in which the artefact `name` of `partition` stands or, here, will stand."""
        return self.root / name / (partition or UNPARTITIONED)

    def location(self, name: str, partition: str | None) -> str:
        """Where people find the artefact: a path, or an `s3://` URL."""
        return str(self.folder(name, partition))

    def exists(self, name: str, partition: str | None) -> bool:
        """Whether the artefact was ever written."""
        return (self._found(name, partition) / JSON_FILE).is_file()

    def partitions(self, name: str) -> list[str]:
        """The partitions that have the artefact `name`, in alphabetical order."""
        found = sorted(path.name for path in (self.root / name).glob("[!.]*"))
        return [partition for partition in found if self.exists(name, partition)]

    def work_folder(self, name: str, partition: str | None) -> Path:
        """A folder of this machine for work in progress that outlives a crash: checkpoints, job files."""
        folder = (self.work or self.root / ".work") / name / (partition or UNPARTITIONED)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def work_prefix(self, _name: str, _partition: str | None) -> Prefix | None:
        """Where other machines find what a work folder holds; nowhere, for a local store."""
        return None

    def save(self, name: str, partition: str | None, artefact: object) -> str:
        """Write an artefact and give its location.

        Raises:
            TypeError: the artefact is not a dataclass.
        """
        require_artefact(name, artefact)
        target = self.folder(name, partition)
        with whole_folder(target) as folder:
            write_artefact(folder, artefact)
        return str(target)

    def load(self, name: str, partition: str | None, kind: type[Artefact]) -> Artefact:
        """Read an artefact back; its folders are on this machine.

        Raises:
            FileNotFoundError: it was never written.
        """
        return read_artefact(self._found(name, partition), kind)

    def copy(self, name: str, partition: str, new_partition: str) -> str:
        """Give another partition the artefact `name` of `partition`, and give its location.

        Raises:
            FileNotFoundError: it was never written.
        """
        target = self.folder(name, new_partition)
        with whole_folder(target) as folder:
            link_tree(self._found(name, partition), folder, dirs_exist_ok=True)
        return str(target)

    def remove(self, name: str, partition: str | None) -> None:
        """Remove an artefact, where there is one; it is never seen half removed."""
        target = self.folder(name, partition)
        # Before it goes, lest a reader takes one of them for it.
        _remove_old(target)
        aside = target.parent / f".{target.name}.{uuid.uuid4().hex}.gone"
        with suppress(FileNotFoundError):
            target.replace(aside)
            shutil.rmtree(aside)

    def _found(self, name: str, partition: str | None) -> Path:
        """The artefact's folder, with what was lost in it brought back."""
        target = self.folder(name, partition)
        if not target.exists():
            _bring_back(target)
        return target


def _replace_folder(new: Path, target: Path) -> None:
    """Put `new` in the place of `target`, in one step where the system can."""
    if _exchange(new, target):
        shutil.rmtree(new)
        return
    # A folder cannot be renamed over a full one, so the old one steps aside; a reader between may bring it back.
    while not _renamed(new, target):
        with suppress(FileNotFoundError):
            target.replace(target.parent / f".{target.name}.{uuid.uuid4().hex}.old")
    _remove_old(target)


def _exchange(new: Path, target: Path) -> bool:
    """Whether two folders have changed places: readers find one or the other, and a kill loses neither.

    Not where there is no target yet, without Linux's renameat2, or on file systems such as NFS.
    """
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError):
        return False
    paths = os.fsencode(new), os.fsencode(target)
    return bool(renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0)


def _renamed(new: Path, target: Path) -> bool:
    """Whether `new` has become `target`, which is so unless that is full."""
    try:
        new.replace(target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True


def _bring_back(target: Path) -> None:
    """Give a folder that a writer lost when it was killed between two renames its place again: the newest, if any."""
    # A writer that lives may meanwhile have put the new one there, and removed the old one.
    with suppress(OSError):
        newest = max(_old(target), key=lambda path: path.stat().st_ctime_ns, default=None)
        if newest is not None:
            newest.rename(target)


def _remove_old(target: Path) -> None:
    for old in _old(target):
        shutil.rmtree(old, ignore_errors=True)


def _old(target: Path) -> list[Path]:
    return list(target.parent.glob(f".{glob.escape(target.name)}.{'[0-9a-f]' * 32}.old"))
