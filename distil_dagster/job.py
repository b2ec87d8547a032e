"""One job, opened: its configuration, folder, job description and task, ready for any phase."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distil_dagster.config.loading import LoadedConfig, load_config
from distil_dagster.config.pipeline import PipelineConfig
from distil_dagster.data.examples import Example
from distil_dagster.data.folder import JobFolder
from distil_dagster.data.job import JobDescription
from distil_dagster.data.objects import StorageError
from distil_dagster.errors import ConfigError, Problem
from distil_dagster.tasks.base import Task
from distil_dagster.tasks.registry import task_for


@dataclass(frozen=True)
class Job:
    """What every phase of one configuration works with; `students` says where weights are, by catalogue name.

    `is_retune` is whether a student is trained anew from data as they are: then nothing is bought that does not decide.
    """

    name: str
    config: PipelineConfig
    folder: JobFolder
    description: JobDescription
    task: Task
    warnings: tuple[str, ...] = ()
    students: Mapping[str, str] = field(default_factory=dict)
    is_retune: bool = False

    @property
    def max_total_length(self) -> int:
        """The longest input and answer together, in characters."""
        return self.config.synthgen.validation_max_total_length

    def evaluation_rows(self, examples: Sequence[Example]) -> list[Example]:
        """The rows that models answer of these test examples: with `expand_tool_calling_turns` each turn is one."""
        if not self.config.evaluation.expand_tool_calling_turns:
            return list(examples)
        return [turn for example in examples for turn in self.task.turns(example)]


def open_job(
    path: Path,
    typed: Mapping[str, Mapping[str, Any]] | None = None,
    fetch: Callable[[str], Path] | None = None,
) -> Job:
    """Open the job of a configuration file; `typed` are keys that a person laid over the file.

    `fetch` gives a folder with the files below an `s3://` prefix; without it `data.path` must be a folder.

    Raises:
        ConfigError: the configuration has mistakes; carries all of them. Or its prefix cannot be read.
        DataError: the job description is missing or lacks what the task needs.
    """
    return job_of(load_config(path, typed or {}), fetch)


def job_of(loaded: LoadedConfig, fetch: Callable[[str], Path] | None = None) -> Job:
    """The job of a configuration that was loaded; `fetch` and errors are as in `open_job`."""
    folder = JobFolder(_data_folder(loaded, fetch))
    description = folder.job_description()
    task = task_for(loaded.config.base.task, description, output_is_json=loaded.config.synthgen.output_is_json)
    used = _as_used(description, task)
    return Job(loaded.name, loaded.config, folder, used, task, loaded.warnings, loaded.students)


def _data_folder(loaded: LoadedConfig, fetch: Callable[[str], Path] | None) -> Path:
    if loaded.data_prefix is None or fetch is None:
        return loaded.data_folder
    try:
        return fetch(loaded.data_prefix)
    except StorageError as error:
        raise ConfigError([Problem(str(loaded.path), None, "data.path", str(error), loaded.data_prefix)]) from error


def _as_used(description: JobDescription, task: Task) -> JobDescription:
    """The description without classes and tools that the task does not look at, so that no judge does."""
    unused: dict[str, Any] = {} if task.classes else {"classes_description": {}}
    return description.model_copy(update=unused if task.tools else unused | {"tools": ()})
