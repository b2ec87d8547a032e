"""Question answering: one text holds all that is asked about and what is asked, another comes out."""

from __future__ import annotations

from distil_dagster.data.job import JobDescription
from distil_dagster.errors import DataError
from distil_dagster.tasks.text_task import TextTask


class QuestionAnswering(TextTask):
    """The question-answering task of one job description.

    New inputs are written from `input_description` alone, their answers from `task_description`.

    Raises:
        DataError: the job description does not say what inputs look like.
    """

    name = "question-answering"
    generation_template = "question_answering"

    def __init__(self, job: JobDescription, *, output_is_json: bool = False) -> None:
        super().__init__(job, output_is_json=output_is_json)
        if not (job.input_description or "").strip():
            raise DataError(
                "job_description.json: input_description: question-answering needs it, to write new inputs from; "
                "say what an input holds and how it is laid out"
            )
