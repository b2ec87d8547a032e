"""The protocol behind which each task type lives, so that nothing else in the code asks which task it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pydantic import BaseModel

from distil_dagster.data.examples import Example
from distil_dagster.data.messages import Message

MetricName = Literal["accuracy", "exact_match", "rouge_l", "meteor", "llm_as_a_judge"]
RejectReason = Literal[
    "not_a_class",
    "empty_question",
    "empty_answer",
    "too_long",
    "class_not_asked_for",
    "similar_to_seed",
    "similar_to_accepted",
    "similar_to_test",
]


@dataclass(frozen=True)
class Parsed:
    """A model's raw text as the task reads it; `problem` says why an invalid one is not an answer."""

    text: str
    valid: bool
    problem: str = ""


@dataclass(frozen=True)
class Valid:
    """An example that satisfies its task."""


@dataclass(frozen=True)
class Invalid:
    """An example that does not satisfy its task, and why."""

    reason: RejectReason
    detail: str


@dataclass(frozen=True)
class GenerationRequest:
    """What one generation call asks for: how many examples, and of which class (or tool) where the task has them."""

    count: int
    label: str | None


class Task(Protocol):
    """What a task type answers, for one job description."""

    name: str
    metrics: tuple[MetricName, ...]
    primary_metric: MetricName

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes (or tools) that examples are balanced over; empty where the task has none."""

    @property
    def label_descriptions(self) -> Mapping[str, str]:
        """What each label means, in the job description's words."""

    def system_prompt(self) -> str:
        """The task as the student is told it: the same text in training, evaluation and serving."""

    def prompt(self, example: Example) -> list[dict[str, Any]]:
        """The messages that the student answers, in OpenAI form, system prompt first."""

    def completion(self, example: Example) -> dict[str, Any]:
        """The assistant message that the student is trained to write."""

    def answer_schema(self) -> type[BaseModel] | None:
        """The shape of a teacher's answer, with one field `answer`; none where the answer is free text."""

    def label(self, example: Example) -> str | None:
        """The class (or tool) of an example."""

    def similarity_text(self, example: Example) -> str:
        """The text by which two examples are compared for likeness."""

    def validate(self, example: Example, max_total_length: int) -> Valid | Invalid:
        """Whether the example satisfies the task; `max_total_length` bounds input and answer, in characters."""

    def parse_prediction(self, text: str) -> Parsed:
        """The answer in what a model wrote."""

    def examples_of(self, messages: Sequence[Message]) -> list[tuple[Message, ...]]:
        """The conversations, each ending on an assistant's answer, that one logged conversation gives."""

    def evaluation_rows(self, example: Example) -> list[Example]:
        """The rows that one test example is scored on."""

    def generated_schema(self, request: GenerationRequest) -> type[BaseModel]:
        """The shape of one generation call's answer: an object with a list `examples`."""

    def read_generated(self, answer: BaseModel) -> list[Example]:
        """The examples in a generation call's answer, not validated yet."""
