"""From a config's task name to its module."""

from __future__ import annotations

from typing import Protocol

from distil_dagster.data.job import JobDescription
from distil_dagster.tasks.base import Task
from distil_dagster.tasks.classification import Classification
from distil_dagster.tasks.closed_book import ClosedBookQuestionAnswering
from distil_dagster.tasks.multi_turn_tool_calling import MultiTurnToolCalling
from distil_dagster.tasks.open_book import OpenBookQuestionAnswering
from distil_dagster.tasks.question_answering import QuestionAnswering
from distil_dagster.tasks.tool_calling import ToolCalling


class MakesTask(Protocol):
    """A task's class."""

    def __call__(self, job: JobDescription, *, output_is_json: bool = False) -> Task:
        """The task of one job description.

        Raises:
            DataError: the job description lacks what the task needs.
        """


_TASKS: dict[str, MakesTask] = {
    task.name: task
    for task in (
        Classification,
        QuestionAnswering,
        OpenBookQuestionAnswering,
        ClosedBookQuestionAnswering,
        ToolCalling,
        MultiTurnToolCalling,
    )
}


def task_for(name: str, job: JobDescription, *, output_is_json: bool = False) -> Task:
    """The task `name`, one of the reference's six, for one job description.

    Raises:
        DataError: the job description lacks what the task needs.
    """
    return _TASKS[name](job, output_is_json=output_is_json)
