"""How an artefact becomes files of a folder, and is read from them.

An artefact is a frozen dataclass. A field that is a list of rows becomes a Parquet file of its name; a field that is a
`Path` becomes a copy of that folder (hard links where possible); everything else goes to `artefact.json`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic import BaseModel, TypeAdapter

from distil_dagster.data.tables import read_table, write_table

Artefact = TypeVar("Artefact")
JSON_FILE = "artefact.json"


def require_artefact(name: str, artefact: object) -> None:
    """Find out whether something can be stored.

    Raises:
        TypeError: it is not a dataclass.
    """
    if not dataclasses.is_dataclass(artefact) or isinstance(artefact, type):
        raise TypeError(f"{name}: an artefact is a dataclass, not {type(artefact).__name__}")


def write_artefact(folder: Path, artefact: object) -> None:
    """Write an artefact's files into a folder; equal artefacts give equal files."""
    rest: dict[str, Any] = {}
    for field, kind in _fields(type(artefact)).items():
        value = getattr(artefact, field)
        if (row_type := _row_type(kind)) is not None:
            write_table(folder / f"{field}.parquet", value, row_type)
        elif kind is Path:
            link_tree(value, folder / field)
        else:
            rest[field] = TypeAdapter(kind).dump_python(value, mode="json")
    text = json.dumps(rest, ensure_ascii=False, indent=2, sort_keys=True)
    (folder / JSON_FILE).write_text(text + "\n", encoding="utf-8")


def read_artefact(folder: Path, kind: type[Artefact]) -> Artefact:
    """Read an artefact back; fields that an older version did not write yet have their defaults.

    Raises:
        FileNotFoundError: the folder holds none.
    """
    rest = json.loads((folder / JSON_FILE).read_text(encoding="utf-8"))
    values: dict[str, Any] = {}
    for field, annotation in _fields(kind).items():
        if (row_type := _row_type(annotation)) is not None:
            values[field] = read_table(folder / f"{field}.parquet", row_type)
        elif annotation is Path:
            values[field] = folder / field
        elif field in rest:
            values[field] = TypeAdapter(annotation).validate_python(rest[field])
    return kind(**values)


def folder_fields(kind: type) -> list[str]:
    """The fields of an artefact that are folders."""
    return [field for field, annotation in _fields(kind).items() if annotation is Path]


def link_tree(source: Path, target: Path, *, dirs_exist_ok: bool = False) -> None:
    """Copy a folder without its bytes where the file system can: weights are large, and never changed in place."""
    shutil.copytree(source, target, copy_function=_link_or_copy, dirs_exist_ok=dirs_exist_ok)


def _fields(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _row_type(annotation: Any) -> type[BaseModel] | None:
    if get_origin(annotation) is not list:
        return None
    (row_type,) = get_args(annotation)
    return row_type if isinstance(row_type, type) and issubclass(row_type, BaseModel) else None


def _link_or_copy(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target
