"""The configurations of a folder: files of `configs/`, and folders there with a file called `config`."""

import os
from collections.abc import Iterator
from pathlib import Path

from distil_dagster.errors import DistilError

FOLDER_VARIABLE = "DISTIL_CONFIGS"
EXTENSIONS = (".yaml", ".yml", ".json")


def config_folder() -> Path:
    """The folder of configurations: what `DISTIL_CONFIGS` names, else `configs` in the working directory."""
    return Path(os.environ.get(FOLDER_VARIABLE) or "configs")


def config_paths(folder: Path) -> dict[str, Path]:
    """The configuration files of a folder, by partition.

    Raises:
        DistilError: two files would be one partition.
    """
    return {name: _the_one(name, paths) for name, paths in found_files(folder).items()}


def config_path(partition: str) -> Path:
    """The file of one partition.

    Raises:
        DistilError: the file is gone, or there are two of them.
    """
    paths = found_files(config_folder())
    if partition not in paths:
        raise DistilError(f"{config_folder().resolve()}: no configuration called {partition}")
    return _the_one(partition, paths[partition])


def found_files(folder: Path) -> dict[str, list[Path]]:
    """All files that would be a partition, by its name; more than one of a name is a mistake."""
    found: dict[str, list[Path]] = {}
    for name, path in sorted(_named_files(folder)):
        found.setdefault(name, []).append(path)
    return found


def _named_files(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in folder.glob("*"):
        if path.suffix in EXTENSIONS and path.stem != "config" and not path.name.startswith("."):
            yield path.stem, path
    for path in folder.glob("*/config.*"):
        if path.suffix in EXTENSIONS:
            yield path.parent.name, path


def _the_one(name: str, paths: list[Path]) -> Path:
    if len(paths) > 1:
        raise DistilError(f"{' and '.join(map(str, paths))} would both be the partition {name}: rename one of them")
    return paths[0]
