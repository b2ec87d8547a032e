"""The configurations of a folder: files of `configs/`, and folders there with a file called `config`."""

import os
from pathlib import Path

from distil_dagster.errors import DistilError

FOLDER_VARIABLE = "DISTIL_CONFIGS"
_EXTENSIONS = {".yaml", ".yml", ".json"}


def config_folder() -> Path:
    """The folder of configurations: what `DISTIL_CONFIGS` names, else `configs` in the working directory."""
    return Path(os.environ.get(FOLDER_VARIABLE, "configs"))


def config_paths(folder: Path) -> dict[str, Path]:
    """The configuration files of a folder, by partition.

    Raises:
        DistilError: two files would be one partition.
    """
    found: dict[str, Path] = {}
    files = [path for path in folder.glob("*") if path.suffix in _EXTENSIONS and path.stem != "config"]
    nested = [path for path in folder.glob("*/config.*") if path.suffix in _EXTENSIONS]
    for name, path in [*((path.stem, path) for path in files), *((path.parent.name, path) for path in nested)]:
        if name in found:
            raise DistilError(f"{found[name]} and {path} would both be the partition {name}: rename one of them")
        found[name] = path
    return dict(sorted(found.items()))


def config_path(partition: str) -> Path:
    """The file of one partition.

    Raises:
        DistilError: the file is gone.
    """
    paths = config_paths(config_folder())
    if partition not in paths:
        raise DistilError(f"{config_folder().resolve()}: no configuration called {partition}")
    return paths[partition]
