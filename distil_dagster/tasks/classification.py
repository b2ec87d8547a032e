"""Classification: a text goes in, the name of one class of a fixed set comes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field, create_model

from distil_dagster.data.examples import Example
from distil_dagster.data.job import JobDescription
from distil_dagster.errors import DataError
from distil_dagster.prompts import render
from distil_dagster.tasks.base import Invalid, MetricName, Parsed
from distil_dagster.tasks.text_task import TextTask, without_fence

_WRAPPING = " \t\r\n\"'`*.,:;"


class Classification(TextTask):
    """The classification task of one job description.

    Raises:
        DataError: the job description names fewer than two classes.
    """

    name = "classification"
    generation_template = "classification"
    metrics: tuple[MetricName, ...] = ("accuracy", "exact_match", "rouge_l", "meteor", "llm_as_a_judge")

    def __init__(self, job: JobDescription, *, output_is_json: bool = False) -> None:
        super().__init__(job, output_is_json=output_is_json)
        if len(job.classes_description) < 2:
            raise DataError("job_description.json: classes_description: classification needs at least two classes")
        self._by_folded_name = {name.casefold(): name for name in job.classes_description}

    @property
    def primary_metric(self) -> MetricName:
        """Accuracy: the answers are a closed set."""
        return "accuracy"

    @property
    def primary_metric_reason(self) -> str:
        """Why that metric decides."""
        return "the answers are a closed set, so that right and wrong need no judge"

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, in the job description's order."""
        return tuple(self._job.classes_description)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.labels

    @property
    def label_descriptions(self) -> Mapping[str, str]:
        """What each class means."""
        return self._job.classes_description

    def system_prompt(self) -> str:
        """The task description with the classes."""
        return render("tasks/classification", job=self._job)

    def parse_prediction(self, text: str) -> Parsed:
        """The class in what a model wrote: fences, quotes, punctuation and letter case are forgiven, prose is not."""
        stripped = text.strip()
        name = self._by_folded_name.get(without_fence(text).strip(_WRAPPING).casefold())
        if name is None:
            return Parsed(stripped, valid=False, problem=f"{stripped[:80]!r} is not a class")
        return Parsed(name, valid=True)

    def answer_schema(self) -> type[BaseModel]:
        """An object whose `answer` is one of the class names."""
        return create_model("ClassAnswer", answer=self._class_field())

    def labels_in(self, example: Example) -> tuple[str, ...]:
        """The class of an example."""
        return (example.answer,)

    def similarity_text(self, example: Example) -> str:
        """The text to classify: the class name is shared by a whole class and says nothing about likeness."""
        return example.question

    def _generated_answer(self) -> tuple[Any, Any]:
        """Every class is allowed, so that a teacher that drifts is seen and not silenced."""
        return self._class_field()

    def _answer_problem(self, example: Example) -> Invalid | None:
        if example.answer in self._job.classes_description:
            return None
        return Invalid("not_a_class", f"{example.answer!r} is none of {', '.join(self.labels)}")

    def _class_field(self) -> tuple[Any, Any]:
        return Literal[self.labels], Field(description="The name of the class.")
