"""Artefacts: a folder per asset and partition, never seen half written. Here those of a local folder."""

from __future__ import annotations

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
        return (self.folder(name, partition) / JSON_FILE).is_file()

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
        return read_artefact(self.folder(name, partition), kind)

    def copy(self, name: str, partition: str, new_partition: str) -> str:
        """Give another partition the artefact `name` of `partition`, and give its location.

        Raises:
            FileNotFoundError: it was never written.
        """
        target = self.folder(name, new_partition)
        with whole_folder(target) as folder:
            link_tree(self.folder(name, partition), folder, dirs_exist_ok=True)
        return str(target)

    def remove(self, name: str, partition: str | None) -> None:
        """Remove an artefact, where there is one; it is never seen half removed."""
        target = self.folder(name, partition)
        aside = target.parent / f".{target.name}.{uuid.uuid4().hex}.old"
        with suppress(FileNotFoundError):
            target.replace(aside)
            shutil.rmtree(aside)


def _replace_folder(new: Path, target: Path) -> None:
    """Put `new` in the place of `target`: a folder cannot be renamed over a full one, so the old one steps aside."""
    if not target.exists():
        new.replace(target)
        return
    old = target.parent / f".{target.name}.{uuid.uuid4().hex}.old"
    target.replace(old)
    new.replace(target)
    shutil.rmtree(old)
