"""`validate`: every mistake in configuration files and job descriptions, before anything is run or paid for."""

from collections.abc import Sequence
from pathlib import Path

from distil_dagster.config.loading import LoadedConfig, load_config
from distil_dagster.errors import ConfigError, DataError, Problem


def validate(paths: Sequence[Path]) -> int:
    """Print the state of each configuration and its job.

    Raises:
        ConfigError: there are mistakes; carries those of all files.
    """
    problems: list[Problem] = []
    for path in paths:
        try:
            loaded = load_config(path)
            for warning in loaded.warnings:
                print(f"warning: {warning}")
            print(f"{path}: {loaded.config.base.task}, {_state_of_job(loaded)}")
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return 0


def _state_of_job(loaded: LoadedConfig) -> str:
    """Whether the job's data is there.

    Raises:
        ConfigError: it lacks what the task needs, or cannot be read.
    """
    from distil_dagster.job import job_of
    from distil_dagster.orchestration.s3 import fetched_data

    place = loaded.data_prefix or str(loaded.data_folder)
    if loaded.data_prefix is None and not loaded.data_folder.is_dir():
        if loaded.config.data.path is None:
            return f"no mistake; the job's folder {place} is not there yet"
        raise ConfigError([Problem(str(loaded.path), None, "data.path", "there is no such folder", place)])
    try:
        lacks = job_of(loaded, fetched_data).folder.lacks
    except DataError as error:
        raise ConfigError([Problem(str(loaded.path), None, "data.path", str(error), place)]) from None
    return "ready to run" if lacks is None else f"no mistake; {place} holds {lacks} yet"
