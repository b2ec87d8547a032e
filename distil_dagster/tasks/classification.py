"""Classification: a text goes in, the name of one class of a fixed set comes out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field, create_model

from distil_dagster.data.examples import Example
from distil_dagster.data.job import JobDescription
from distil_dagster.data.messages import Message
from distil_dagster.errors import DataError
from distil_dagster.prompts import render
from distil_dagster.tasks.base import GenerationRequest, Invalid, MetricName, Parsed, Valid
from distil_dagster.tasks.conversations import single_turns, student_prompt

_FENCE = re.compile(r"^```[\w-]*\n(.*?)\n?```$", re.DOTALL)
_WRAPPING = " \t\r\n\"'`*.,:;"


class Classification:
    """The classification task of one job description.

    Raises:
        DataError: the job description names fewer than two classes.
    """

    name = "classification"
    metrics: tuple[MetricName, ...] = ("accuracy", "exact_match", "rouge_l", "meteor", "llm_as_a_judge")
    primary_metric: MetricName = "accuracy"

    def __init__(self, job: JobDescription) -> None:
        if len(job.classes_description) < 2:
            raise DataError("job_description.json: classes_description: classification needs at least two classes")
        self._job = job
        self._by_folded_name = {name.casefold(): name for name in job.classes_description}

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, in the job description's order."""
        return tuple(self._job.classes_description)

    @property
    def label_descriptions(self) -> Mapping[str, str]:
        """What each class means."""
        return self._job.classes_description

    def system_prompt(self) -> str:
        """The task description with the classes."""
        return render("tasks/classification", job=self._job)

    def prompt(self, example: Example) -> list[dict[str, Any]]:
        """The system prompt and the text to classify."""
        return student_prompt(self.system_prompt(), example)

    def completion(self, example: Example) -> dict[str, Any]:
        """The class name as the assistant's answer."""
        return {"role": "assistant", "content": example.answer}

    def answer_schema(self) -> type[BaseModel]:
        """An object whose `answer` is one of the class names."""
        return create_model("ClassAnswer", answer=(self._class_type(), Field(description="The name of the class.")))

    def label(self, example: Example) -> str | None:
        """The class of an example."""
        return example.answer

    def similarity_text(self, example: Example) -> str:
        """The text to classify: the class name is shared by a whole class and says nothing about likeness."""
        return example.question

    def validate(self, example: Example, max_total_length: int) -> Valid | Invalid:
        """The text is not empty, the answer is a class, and both together keep within the length."""
        if not example.question.strip():
            return Invalid("empty_question", "the user's text is empty")
        if example.answer not in self._job.classes_description:
            return Invalid("not_a_class", f"{example.answer!r} is none of {', '.join(self.labels)}")
        length = len(example.question) + len(example.answer)
        if length > max_total_length:
            return Invalid("too_long", f"{length} characters, more than {max_total_length}")
        return Valid()

    def parse_prediction(self, text: str) -> Parsed:
        """The class in what a model wrote: fences, quotes, punctuation and letter case are forgiven, prose is not."""
        stripped = text.strip()
        fenced = _FENCE.match(stripped)
        candidate = (fenced.group(1) if fenced else stripped).strip(_WRAPPING)
        name = self._by_folded_name.get(candidate.casefold())
        if name is None:
            return Parsed(stripped, valid=False, problem=f"{stripped[:80]!r} is not a class")
        return Parsed(name, valid=True)

    def examples_of(self, messages: Sequence[Message]) -> list[tuple[Message, ...]]:
        """One [user, assistant] pair for every assistant turn that answers a user turn."""
        return single_turns(messages)

    def evaluation_rows(self, example: Example) -> list[Example]:
        """An example is one row."""
        return [example]

    def generated_schema(self, request: GenerationRequest) -> type[BaseModel]:
        """Texts with their classes. Every class is allowed, so that a teacher that drifts is seen and not silenced."""
        row = create_model(
            "GeneratedText",
            question=(str, Field(description="The input, as a user would send it.")),
            answer=(self._class_type(), Field(description="The name of the class.")),
        )
        return create_model("GeneratedTexts", examples=(list[row], Field(description=f"{request.count} examples.")))

    def read_generated(self, answer: BaseModel) -> list[Example]:
        """The generated texts as examples."""
        return [
            Example(
                messages=(
                    Message(role="user", content=row["question"]),
                    Message(role="assistant", content=row["answer"]),
                )
            )
            for row in answer.model_dump()["examples"]
        ]

    def _class_type(self) -> Any:
        return Literal[self.labels]
