"""What the tasks share whose answer is a text: the student reads one conversation and writes one answer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from pydantic import BaseModel, Field, create_model

from distil_dagster.data.examples import Example
from distil_dagster.data.job import JobDescription
from distil_dagster.data.messages import Message
from distil_dagster.prompts import render
from distil_dagster.tasks.base import (
    ContextUse,
    GenerationRequest,
    Invalid,
    MetricName,
    Parsed,
    Shown,
    TaskKind,
    Unusable,
    Valid,
)
from distil_dagster.tasks.conversations import exchanges_or_whole, student_prompt, user_text
from distil_dagster.tasks.generation import render_generation

_FENCE = re.compile(r"```[ \t]*[\w+#.-]*[ \t\r]*\n(.*)```", re.DOTALL)
_FENCE_LINE = re.compile(r"^[^\S\n]*```", re.MULTILINE)


class TextTask:
    """A task whose answer is a text; what is common to all of them, for one job description.

    `output_is_json` demands answers that are JSON; a task with a closed set of answers has no use for it. Any JSON
    value will do, as RFC 8259 has it: whether a job's answer should be an object is for its description to say.
    """

    name: str
    kind: TaskKind = "text"
    metrics: tuple[MetricName, ...] = ("llm_as_a_judge", "exact_match", "rouge_l", "meteor")
    context_use: ContextUse = "none"
    generation_template: str
    """The name of the prompt in `prompts/synthesis` that asks for new examples."""

    def __init__(self, job: JobDescription, *, output_is_json: bool = False) -> None:
        self._job = job
        self._output_is_json = output_is_json

    @property
    def primary_metric(self) -> MetricName:
        """The judge's score: a right answer may be worded in many ways."""
        return "llm_as_a_judge"

    @property
    def primary_metric_reason(self) -> str:
        """Why that metric decides."""
        return "a right answer may be worded in many ways, which only a judge can tell from a wrong one"

    @property
    def labels(self) -> tuple[str, ...]:
        """A free text has neither classes nor tools."""
        return ()

    @property
    def classes(self) -> tuple[str, ...]:
        """A free text is of no closed set."""
        return ()

    @property
    def label_descriptions(self) -> Mapping[str, str]:
        """Nothing to describe."""
        return {}

    @property
    def tools(self) -> tuple[dict[str, Any], ...]:
        """A text task has no tools."""
        return ()

    @property
    def question_with_context(self) -> str | None:
        """The student sees no context beside the question."""
        return None

    def system_prompt(self) -> str:
        """The task description, and that the answer is JSON where it is to be."""
        return render("tasks/question_answering", job=self._job, output_is_json=self._output_is_json)

    def prompt(self, example: Example) -> list[dict[str, Any]]:
        """The system prompt and what the user says."""
        return student_prompt(self.system_prompt(), example)

    def completion(self, example: Example) -> dict[str, Any]:
        """The answer as the assistant's message."""
        return {"role": "assistant", "content": example.answer}

    def turns(self, example: Example) -> list[Example]:
        """The example itself: only its last turn is to be learned."""
        return [example]

    def parse_prediction(self, text: str) -> Parsed:
        """The answer without a code fence around it; not one that is empty, or that should be JSON and is not."""
        answer = without_fence(text)
        problem = self._text_problem(answer)
        return Parsed(answer, valid=problem is None, problem=problem.detail if problem else "")

    def teacher_prompt(self, example: Example) -> list[dict[str, Any]]:
        """What the student sees."""
        return self.prompt(example)

    def teacher_completion(self, example: Example) -> dict[str, Any]:
        """The answer, as a JSON object where that is how a teacher is asked for it."""
        if self.answer_schema() is None:
            return self.completion(example)
        return {"role": "assistant", "content": json.dumps({"answer": example.answer}, ensure_ascii=False)}

    def answer_schema(self) -> type[BaseModel] | None:
        """A free text has no shape."""
        return None

    def labels_in(self, example: Example) -> tuple[str, ...]:  # noqa: ARG002 - the protocol's signature
        """None: a free text has no label."""
        return ()

    def question_text(self, example: Example) -> str:
        """The user's last turn."""
        return example.question

    def similarity_text(self, example: Example) -> str:
        """Question and answer: one passage may be asked about in many ways."""
        return f"{example.question}\n{example.answer}"

    def validate(self, example: Example, max_total_length: int) -> Valid | Invalid:
        """Neither text is empty, the answer is one of the task's, and the whole keeps within the length."""
        if not example.question.strip():
            return Invalid("empty_question", "the user's text is empty")
        problem = self._answer_problem(example)
        if problem is not None:
            return problem
        read = sum(len(message.content) for message in example.prompt) + len(example.context or "")
        length = read + len(example.answer)
        if length > max_total_length:
            return Invalid("too_long", f"{length} characters, more than {max_total_length}")
        return Valid()

    def examples_of(self, messages: Sequence[Message], single_turn: bool | None = None) -> list[Example] | Unusable:
        """One exchange for every assistant turn that answers a user turn, or the whole conversation where asked for."""
        found = exchanges_or_whole(messages, single_turn=single_turn is not False)
        if not found:
            return Unusable("no_answer", "no answer to the user that this task could learn from")
        return [Example(messages=exchange, logged_answers=(exchange[-1].answer,)) for exchange in found]

    def unlabelled_text(self, messages: Sequence[Message]) -> str | None:
        """What the users said: the logged answers are unchecked."""
        return user_text(messages) or None

    def conversation_shown(self, example: Example) -> list[dict[str, Any]]:
        """What the student sees, without the system prompt."""
        return self.prompt(example)[1:]

    def relabel_prompt(self, example: Example) -> list[dict[str, Any]]:
        """The question, asked again."""
        return self.teacher_prompt(example)

    def relabel_schema(self) -> type[BaseModel] | None:
        """The shape of one answer."""
        return self.answer_schema()

    def whole_answer(self, example: Example) -> str:
        """The answer as the task reads it."""
        return self.parse_prediction(example.answer).text

    def read_relabelled(self, text: str) -> Parsed:
        """The answer in what a teacher wrote."""
        return self.parse_prediction(text)

    def with_whole_answer(self, example: Example, text: str) -> Example:
        """The example with another last turn."""
        answer = Message(role="assistant", content=text)
        return example.model_copy(update={"messages": (*example.prompt, answer)})

    def generation_prompt(self, request: GenerationRequest, shown: Shown) -> str:
        """The prompt of one generation call."""
        return render_generation(
            self.generation_template, self._job, request, shown, output_is_json=self._output_is_json
        )

    def generated_schema(self, request: GenerationRequest) -> type[BaseModel]:  # noqa: ARG002 - the protocol's signature
        """Inputs with their answers."""
        return self._generated_model

    @cached_property
    def _generated_model(self) -> type[BaseModel]:
        row = create_model(
            "GeneratedExample",
            question=(str, Field(description="The input, as a user would send it.")),
            answer=self._generated_answer(),
        )
        return create_model("GeneratedExamples", examples=(list[row], Field(description="The new examples.")))

    def read_generated(self, answer: BaseModel, request: GenerationRequest) -> list[Example]:
        """The generated questions and answers as examples, the answers as the task reads them."""
        return [
            Example(
                messages=(
                    Message(role="user", content=row["question"]),
                    Message(role="assistant", content=self.parse_prediction(row["answer"]).text),
                ),
                context=request.context if self.context_use == "shown" else None,
            )
            for row in answer.model_dump()["examples"]
        ]

    def _generated_answer(self) -> tuple[Any, Any]:
        """Type and field of a generated answer."""
        return str, Field(description="The right answer to it, as the small model is to write it.")

    def _answer_problem(self, example: Example) -> Invalid | None:
        """Why the answer of an example is none of this task."""
        return self._text_problem(example.answer)

    def _text_problem(self, answer: str) -> Invalid | None:
        """Why a text is no answer of this task."""
        # An empty fence is read as nothing.
        if not without_fence(answer):
            return Invalid("empty_answer", "the answer is empty")
        problem = json_problem(answer) if self._output_is_json else None
        return None if problem is None else Invalid("not_json", f"the answer is not valid JSON: {problem}")


def without_fence(text: str) -> str:
    """The text without surrounding whitespace and without a code fence around all of it.

    A text with further fences inside stays as it is: they may be two blocks with prose between them.
    """
    stripped = text.strip()
    fenced = _FENCE.fullmatch(stripped)
    if fenced is None or _FENCE_LINE.search(fenced[1]):
        return stripped
    return fenced[1].strip()


def json_problem(text: str) -> str | None:
    """Why a text is not JSON by RFC 8259, which knows no NaN and no Infinity; none where it is."""
    try:
        # Numbers stay text: Python refuses to read integers of many digits, which JSON allows.
        json.loads(text, parse_constant=_no_json, parse_int=str)
    except RecursionError:
        return "nested too deeply to be read"
    except ValueError as error:
        return str(error)
    return None


def _no_json(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")
