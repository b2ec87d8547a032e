"""From a config's task name to its module."""

from __future__ import annotations

from distil_dagster.data.job import JobDescription
from distil_dagster.errors import DataError
from distil_dagster.tasks.base import Task
from distil_dagster.tasks.classification import Classification

_TASKS: dict[str, type[Classification]] = {Classification.name: Classification}


def task_for(name: str, job: JobDescription) -> Task:
    """The task `name` for one job description.

    Raises:
        DataError: the job description lacks what the task needs, or this version does not run the task.
    """
    if name not in _TASKS:
        raise DataError(f"base.task: {name} cannot be run by this version, which runs {', '.join(_TASKS)}")
    return _TASKS[name](job)
