"""Configuration files: what a person wrote, laid over the defaults and checked as a whole.

Every mistake is found in one reading: unknown sections and keys, keys given twice, values that do not fit, and rules
between settings as far as the settings that they read are themselves right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distil_dagster.config.catalogue import OVERRIDE_VARIABLE, ROUTES_VARIABLE, environment_routes
from distil_dagster.config.documents import Document, read_document
from distil_dagster.config.pipeline import PipelineConfig
from distil_dagster.config.reading import Reading
from distil_dagster.errors import ConfigError, Problem

RUN_CONFIG = "run config"
JOB_DESCRIPTION = "job_description.json"


@dataclass(frozen=True)
class LoadedConfig:
    """A configuration that can be used, the file it came from, and what its author may want to know."""

    config: PipelineConfig
    warnings: tuple[str, ...]
    path: Path

    @property
    def name(self) -> str:
        """What the configuration is called: as its file, or as its folder where the file is plainly `config`."""
        folder = self.path.absolute().parent
        return folder.name if self.path.stem == "config" else self.path.stem

    @property
    def data_prefix(self) -> str | None:
        """The `s3://` prefix of the job's data, where `data.path` names one."""
        path = self.config.data.path
        return path if path is not None and path.startswith("s3://") else None

    @property
    def data_folder(self) -> Path:
        """The folder with the job's description and data.

        The first that applies: `data.path`, relative to the file's folder; the file's own folder where that holds a job
        description; `../data/<name>` or `data/<name>` from there, whichever exists.

        Raises:
            ConfigError: the data is under an `s3://` prefix, which is no folder.
        """
        if self.data_prefix is not None:
            message = f"{self.data_prefix} is no folder of this machine"
            raise ConfigError([Problem(str(self.path), None, "data.path", message, self.data_prefix)])
        folder = self.path.absolute().parent
        if self.config.data.path is not None:
            return folder / _expanded(self.config.data.path)
        if (folder / JOB_DESCRIPTION).is_file():
            return folder
        beside, below = folder.parent / "data" / self.name, folder / "data" / self.name
        return below if below.is_dir() and not beside.is_dir() else beside

    @property
    def students(self) -> dict[str, str]:
        """Where students' weights are, as `data.students` says: folders that exist as full paths, else Hub ids."""
        here = self.path.absolute().parent
        folders = {name: here / _expanded(place) for name, place in self.config.data.students.items()}
        return {
            name: str(folders[name]) if folders[name].is_dir() else place
            for name, place in self.config.data.students.items()
        }


def load_config(path: Path, typed: Mapping[str, Mapping[str, Any]] | None = None) -> LoadedConfig:
    """Read a `.yaml`, `.yml` or `.json` configuration, with `typed` settings laid over it key by key.

    Raises:
        ConfigError: carries every problem found, each with file, line and key; those of `typed` with the file
            "run config".
    """
    reading = Reading(str(path))
    reading.take(read_document(path))
    reading.take(Document(RUN_CONFIG, typed))
    config = reading.config()
    problems = [*_in_reading_order(reading.problems), *_environment_problems()]
    if problems:
        raise ConfigError(problems)
    return LoadedConfig(config, tuple(str(warning) for warning in _in_reading_order(reading.warnings)), path)


def _expanded(place: str) -> Path:
    """The path with the home folder in the place of `~`; one that names nobody's is taken as it stands."""
    try:
        return Path(place).expanduser()
    except RuntimeError:
        return Path(place)


def _in_reading_order(problems: list[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda problem: (problem.file == RUN_CONFIG, problem.line or 0))


def _environment_problems() -> tuple[Problem, ...]:
    problems: tuple[Problem, ...] = ()
    for variable in (OVERRIDE_VARIABLE, ROUTES_VARIABLE):
        try:
            environment_routes(variable)
        except ConfigError as error:
            problems += error.problems
    return problems
