"""The protocol behind which each task type lives, so that nothing else in the code asks which task it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pydantic import BaseModel

from distil_dagster.data.examples import Example
from distil_dagster.data.messages import Message

TaskKind = Literal["text", "tool"]
MetricName = Literal[
    "accuracy",
    "exact_match",
    "rouge_l",
    "meteor",
    "tool_call_equivalence",
    "binary_tool_call",
    "staged_tool_call",
    "llm_as_a_judge",
]
RejectReason = Literal[
    "not_a_class",
    "not_json",
    "not_one_call",
    "unknown_tool",
    "wrong_arguments",
    "wrong_turns",
    "no_context",
    "empty_question",
    "empty_answer",
    "too_long",
    "label_not_asked_for",
    "similar_to_seed",
    "similar_to_accepted",
    "similar_to_test",
]
UnusableReason = Literal["no_answer", "no_tool_call", "no_context"]
ContextUse = Literal["none", "source", "shown"]


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
class Unusable:
    """A logged conversation that gives the task nothing to learn from, and why."""

    reason: UnusableReason
    detail: str


@dataclass(frozen=True)
class GenerationRequest:
    """What one generation call asks for: how many examples, of which class or tool, from which context.

    `label` is none where the task has neither classes nor tools, `context` where it generates from no context.
    """

    count: int
    label: str | None = None
    context: str | None = None


@dataclass(frozen=True)
class Shown:
    """What one generation call shows the teacher, beside what it asks for.

    `positives` are examples of what is asked for, `negatives` of other classes, `unlabelled` are texts without an
    answer, `guidelines` pairs of a guideline's name and its value.
    """

    positives: Sequence[Example] = ()
    negatives: Sequence[Example] = ()
    unlabelled: Sequence[str] = ()
    guidelines: Sequence[tuple[str, str]] = ()


class Task(Protocol):
    """What a task type answers, for one job description.

    Wherever an answer is a text, it is the one of `Example.answer`: a tool call is `{"name": …, "parameters": {…}}`.
    """

    name: str
    kind: TaskKind
    metrics: tuple[MetricName, ...]
    context_use: ContextUse
    """Whether examples are generated from a context, and whether the student then sees it."""

    # The job

    @property
    def primary_metric(self) -> MetricName:
        """The metric that decides."""

    @property
    def primary_metric_reason(self) -> str:
        """Why that metric decides, in one sentence."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes or tools that examples are balanced over; empty where the task has neither."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The closed set of answers; empty for all tasks but classification."""

    @property
    def label_descriptions(self) -> Mapping[str, str]:
        """What each label means, in the job description's words."""

    @property
    def tools(self) -> tuple[dict[str, Any], ...]:
        """The tools in OpenAI form, for the student's own chat template."""

    @property
    def question_with_context(self) -> str | None:
        """How `{context}` and `{question}` stand in the student's prompt; none where it sees no context."""

    # What the student sees

    def system_prompt(self) -> str:
        """The task as the student is told it: the same text in training, evaluation and serving."""

    def prompt(self, example: Example) -> list[dict[str, Any]]:
        """The messages that the student answers, in OpenAI form, system prompt first."""

    def completion(self, example: Example) -> dict[str, Any]:
        """The assistant message that the student is trained to write."""

    def turns(self, example: Example) -> list[Example]:
        """The example once for each assistant turn that is to be learned, each ending on that turn."""

    def parse_prediction(self, text: str) -> Parsed:
        """The answer in what a model wrote."""

    # What a teacher sees

    def teacher_prompt(self, example: Example) -> list[dict[str, Any]]:
        """The messages that a teacher answers, system prompt first."""

    def teacher_completion(self, example: Example) -> dict[str, Any]:
        """The assistant message with which a teacher would answer rightly, as an example to show."""

    def answer_schema(self) -> type[BaseModel] | None:
        """The shape of a teacher's answer, with one field `answer`; none where the answer is free text."""

    # An example and its answer

    def labels_in(self, example: Example) -> tuple[str, ...]:
        """The classes or tools that occur in an example, each once."""

    def question_text(self, example: Example) -> str:
        """What is asked, as one text for judges and readers."""

    def similarity_text(self, example: Example) -> str:
        """The text by which two examples are compared for likeness."""

    def validate(self, example: Example, max_total_length: int) -> Valid | Invalid:
        """Whether the example satisfies the task; `max_total_length` bounds input and answer, in characters."""

    # Traces

    def examples_of(self, messages: Sequence[Message], single_turn: bool | None = None) -> list[Example] | Unusable:
        """The examples in one logged conversation, each ending on an assistant's answer.

        `single_turn` overrides whether a conversation is cut into exchanges or stays whole; None is the task's own way.
        """

    def unlabelled_text(self, messages: Sequence[Message]) -> str | None:
        """What a conversation that became no seed gives as text without an answer; none where it is of no use."""

    def conversation_shown(self, example: Example) -> list[dict[str, Any]]:
        """The conversation without the answers that are asked for, as deciding between answers is shown it."""

    def relabel_prompt(self, example: Example) -> list[dict[str, Any]]:
        """The messages that ask for all answers of an example anew; they do not show the logged ones."""

    def relabel_schema(self) -> type[BaseModel] | None:
        """The shape of what `relabel_prompt` asks for, with one field `answer`; none for free text."""

    def whole_answer(self, example: Example) -> str:
        """All answers of an example as one text: what relabelling compares and replaces."""

    def read_relabelled(self, text: str) -> Parsed:
        """The whole answer in what a teacher wrote."""

    def with_whole_answer(self, example: Example, text: str) -> Example:
        """The example with other answers; a text that `whole_answer` or `read_relabelled` gave."""

    # Synthesis

    def generation_prompt(self, request: GenerationRequest, shown: Shown) -> str:
        """The prompt of one generation call."""

    def generated_schema(self, request: GenerationRequest) -> type[BaseModel]:
        """The shape of one generation call's answer: an object with a list `examples`."""

    def read_generated(self, answer: BaseModel, request: GenerationRequest) -> list[Example]:
        """The examples in a generation call's answer, not validated yet."""
