"""Artefacts on disk: a folder per asset and partition, never seen half written.

An artefact is a frozen dataclass. A field that is a list of rows becomes a Parquet file of its name; a field that is a
`Path` becomes a copy of that folder (hard links where possible); everything else goes to `artefact.json`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic import BaseModel, TypeAdapter

from distil_dagster.data.tables import read_table, write_table

Artefact = TypeVar("Artefact")
_JSON = "artefact.json"


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


@dataclasses.dataclass(frozen=True)
class ArtefactStore:
    """All artefacts under one root folder."""

    root: Path

    def folder(self, name: str, partition: str | None) -> Path:
        """Where the artefact `name` of `partition` stands or will stand."""
        return self.root / name / (partition or "all")

    def work_folder(self, name: str, partition: str | None) -> Path:
        """A folder for work in progress that outlives a crash: checkpoints, job files."""
        folder = self.root / ".work" / name / (partition or "all")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def save(self, name: str, partition: str | None, artefact: object) -> Path:
        """Write an artefact and give its folder.

        Raises:
            TypeError: the artefact is not a dataclass.
        """
        if not dataclasses.is_dataclass(artefact) or isinstance(artefact, type):
            raise TypeError(f"{name}: an artefact is a dataclass, not {type(artefact).__name__}")
        target = self.folder(name, partition)
        rest: dict[str, Any] = {}
        with whole_folder(target) as folder:
            for field, kind in _fields(type(artefact)).items():
                value = getattr(artefact, field)
                if (row_type := _row_type(kind)) is not None:
                    write_table(folder / f"{field}.parquet", value, row_type)
                elif kind is Path:
                    _link_tree(value, folder / field)
                else:
                    rest[field] = TypeAdapter(kind).dump_python(value, mode="json")
            text = json.dumps(rest, ensure_ascii=False, indent=2, sort_keys=True)
            (folder / _JSON).write_text(text + "\n", encoding="utf-8")
        return target

    def load(self, name: str, partition: str | None, kind: type[Artefact]) -> Artefact:
        """Read an artefact back.

        Raises:
            FileNotFoundError: it was never written.
        """
        folder = self.folder(name, partition)
        rest = json.loads((folder / _JSON).read_text(encoding="utf-8"))
        values: dict[str, Any] = {}
        for field, annotation in _fields(kind).items():
            if (row_type := _row_type(annotation)) is not None:
                values[field] = read_table(folder / f"{field}.parquet", row_type)
            elif annotation is Path:
                values[field] = folder / field
            elif field in rest:
                # What an older version did not write yet has a default.
                values[field] = TypeAdapter(annotation).validate_python(rest[field])
        return kind(**values)

    def copy(self, name: str, partition: str, new_partition: str) -> Path:
        """Give another partition the artefact `name` of `partition`, and give its folder.

        Raises:
            FileNotFoundError: it was never written.
        """
        target = self.folder(name, new_partition)
        with whole_folder(target) as folder:
            _link_tree(self.folder(name, partition), folder, dirs_exist_ok=True)
        return target


def _fields(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _row_type(annotation: Any) -> type[BaseModel] | None:
    if get_origin(annotation) is not list:
        return None
    (row_type,) = get_args(annotation)
    return row_type if isinstance(row_type, type) and issubclass(row_type, BaseModel) else None


def _link_tree(source: Path, target: Path, *, dirs_exist_ok: bool = False) -> None:
    """Copy a folder without its bytes where the file system can: weights are large, and never changed in place."""
    shutil.copytree(source, target, copy_function=_link_or_copy, dirs_exist_ok=dirs_exist_ok)


def _link_or_copy(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def _replace_folder(new: Path, target: Path) -> None:
    """Put `new` in the place of `target`: a folder cannot be renamed over a full one, so the old one steps aside."""
    if not target.exists():
        new.replace(target)
        return
    old = target.parent / f".{target.name}.{uuid.uuid4().hex}.old"
    target.replace(old)
    new.replace(target)
    shutil.rmtree(old)
