"""What the tool-calling tasks share: the student reads a conversation and answers it with one call of a tool."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import GenericAlias
from typing import Any, Literal

from pydantic import BaseModel, Field, create_model

from distil_dagster.data.examples import Example
from distil_dagster.data.job import JobDescription
from distil_dagster.data.messages import Message, ToolCall
from distil_dagster.data.normalise import too_deep
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
from distil_dagster.tasks.conversations import single_turns, student_prompt, user_text, whole_conversation
from distil_dagster.tasks.generation import render_generation
from distil_dagster.tasks.tool_syntax import NoCalls, parse_calls
from distil_dagster.tasks.toolbox import Toolbox


class ToolTask(ABC):
    """A task whose every answer is one call of one tool; what is common to them, for one job description.

    `output_is_json` is for tasks that answer with a text: a call is JSON anyway.

    Raises:
        DataError: the job description has no tools, or tools that cannot be used.
    """

    name: str
    kind: TaskKind = "tool"
    metrics: tuple[MetricName, ...] = (
        "tool_call_equivalence",
        "binary_tool_call",
        "staged_tool_call",
        "llm_as_a_judge",
    )
    context_use: ContextUse = "none"
    generation_template: str
    """The name of the prompt in `prompts/synthesis` that asks for new examples."""

    def __init__(self, job: JobDescription, *, output_is_json: bool = False) -> None:  # noqa: ARG002 - as all tasks are made
        self._job = job
        self._toolbox = Toolbox(job.tools)

    @property
    def primary_metric(self) -> MetricName:
        """Equivalence of calls; the judge's score where a tool takes free text."""
        return "tool_call_equivalence" if self._toolbox.free_text_parameter is None else "llm_as_a_judge"

    @property
    def primary_metric_reason(self) -> str:
        """Why that metric decides."""
        if self._toolbox.free_text_parameter is None:
            return "calls are compared argument by argument, so that right and wrong need no judge"
        return f"{self._toolbox.free_text_parameter} takes free text, which only a judge can compare"

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the tools, in the job description's order."""
        return self._toolbox.names

    @property
    def classes(self) -> tuple[str, ...]:
        """Calls are of no closed set."""
        return ()

    @property
    def label_descriptions(self) -> Mapping[str, str]:
        """What each tool does."""
        return self._toolbox.descriptions

    @property
    def tools(self) -> tuple[dict[str, Any], ...]:
        """The tools of the job description."""
        return self._toolbox.tools

    @property
    def question_with_context(self) -> str | None:
        """The student sees no context beside the conversation."""
        return None

    def system_prompt(self) -> str:
        """The task description; the student's chat template adds the tools."""
        return render("tasks/tool_calling", job=self._job)

    def prompt(self, example: Example) -> list[dict[str, Any]]:
        """The system prompt and the conversation before the answer."""
        return [*student_prompt(self.system_prompt(), example)[:1], *self._chat(example.prompt)]

    def completion(self, example: Example) -> dict[str, Any]:
        """The call as the assistant's message."""
        return self._tidy(example.target).as_openai()

    def parse_prediction(self, text: str) -> Parsed:
        """The one call in what a model wrote, in its family's syntax or as JSON.

        A call that breaks its tool's schema is read all the same: how much of it is right can be said.
        """
        call = self._read_call(text)
        if isinstance(call, NoCalls):
            return Parsed(text.strip(), valid=False, problem=call.problem)
        problem = self._toolbox.problem_with(call)
        return Parsed(_message_of(call).answer, valid=problem is None, problem=problem.detail if problem else "")

    def teacher_prompt(self, example: Example) -> list[dict[str, Any]]:
        """The conversation before the answer as text: tools in the system prompt, calls and results as turns."""
        turns = [self._as_teachers_read(message) for message in example.prompt if message.role != "system"]
        return [{"role": "system", "content": self._teacher_system_prompt(example)}, *turns]

    def teacher_completion(self, example: Example) -> dict[str, Any]:
        """The call as a teacher is asked for it."""
        return self._as_teachers_read(example.target)

    def answer_schema(self) -> type[BaseModel]:
        """An object whose `answer` is a call of one of the tools."""
        return self._answer_model

    def unlabelled_text(self, messages: Sequence[Message]) -> str | None:
        """What the users said: the logged answers are unchecked, and a tool's results are nobody's words."""
        return user_text(messages) or None

    def validate(self, example: Example, max_total_length: int) -> Valid | Invalid:
        """Whether questions and calls are sound and all messages together keep within the length."""
        problem = self._problem(example)
        if problem is not None:
            return problem
        length = sum(
            len(message.content) + len(message.answer) * bool(message.tool_calls) for message in example.messages
        )
        if length > max_total_length:
            return Invalid("too_long", f"{length} characters, more than {max_total_length}")
        return Valid()

    def generation_prompt(self, request: GenerationRequest, shown: Shown) -> str:
        """The job with its tools, and which of them to write examples of."""
        tidied = replace(shown, positives=[self._tidied(example) for example in shown.positives])
        tool = next((tool for tool in self.tools if tool["function"]["name"] == request.label), None)
        return render_generation(self.generation_template, self._job, request, tidied, tools=self.tools, tool=tool)

    @abstractmethod
    def _problem(self, example: Example) -> Invalid | None:
        """What is wrong with the turns of an example."""

    @cached_property
    def _call_model(self) -> type[BaseModel]:
        return create_model(
            "CallAnswer",
            name=(self._name_type(), Field(description="The name of the tool.")),
            parameters=(dict[str, Any], Field(description="Its arguments, by the tool's schema.")),
        )

    @cached_property
    def _answer_model(self) -> type[BaseModel]:
        return create_model("ToolAnswer", answer=(self._call_model, Field(description="The tool call.")))

    def _name_type(self) -> Any:
        return Literal[self.labels]

    def _teacher_system_prompt(self, example: Example) -> str:
        system = render("tasks/tool_calling_teacher", job=self._job, tools=self.tools)
        return str(student_prompt(system, example)[0]["content"])

    def _exchanges(self, messages: Sequence[Message]) -> list[Example] | Unusable:
        """One example for each user turn that was answered, with what the log says."""
        found = single_turns(_up_to_calls(messages))
        if not found:
            return no_answer()
        return [Example(messages=exchange, logged_answers=(exchange[-1].answer,)) for exchange in found]

    def _answer_problem(self, message: Message) -> Invalid | None:
        """Why an assistant's turn is none of this task."""
        if not message.tool_calls:
            return Invalid("not_one_call", f"{message.content.strip()[:80]!r} is not a tool call")
        if len(message.tool_calls) > 1:
            return Invalid("not_one_call", f"{len(message.tool_calls)} tool calls instead of one")
        if message.content.strip():
            return Invalid("not_one_call", f"text beside the tool call: {message.content.strip()[:80]!r}")
        return self._toolbox.problem_with(message.tool_calls[0])

    def _read_call(self, text: str) -> ToolCall | NoCalls:
        calls = parse_calls(text)
        if isinstance(calls, NoCalls):
            return calls
        if len(calls) != 1:
            return NoCalls(f"not one call but {len(calls)}")
        return self._canonical(calls[0])

    def _read_answer(self, text: str) -> Message:
        """The assistant's turn that a text stands for: a call where it is one, else the text itself."""
        call = self._read_call(text)
        return Message(role="assistant", content=text) if isinstance(call, NoCalls) else _message_of(call)

    def _called(self, answer: Mapping[str, Any]) -> Message:
        """The assistant's turn of a call `{"name": …, "parameters": {…}}`; a text where it cannot be stored."""
        return self._read_answer("" if too_deep(answer) else json.dumps(answer))

    def _canonical(self, call: ToolCall) -> ToolCall:
        return self._toolbox.ordered(call).model_copy(update={"id": None})

    def _tidied(self, example: Example) -> Example:
        return example.model_copy(update={"messages": tuple(self._tidy(message) for message in example.messages)})

    def _tidy(self, message: Message) -> Message:
        """A message as every prompt shows it: arguments in the schema's order, ids and blank text left out.

        Ids differ from call to call and mean nothing to a model.
        """
        return message.model_copy(
            update={
                "content": message.content if message.content.strip() else "",
                "tool_calls": tuple(self._canonical(call) for call in message.tool_calls),
                "tool_call_id": None,
            }
        )

    def _chat(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        """Messages but the system's in OpenAI form; each result names its tool, which some chat templates demand."""
        chat = []
        names: dict[str | None, str] = {}
        for message in messages:
            names |= {key: call.name for call in message.tool_calls for key in (None, call.id)}
            name = names.get(message.tool_call_id, names.get(None)) if message.role == "tool" else None
            if message.role != "system":
                chat.append(self._tidy(message).as_openai() | ({"name": name} if name else {}))
        return chat

    def _as_teachers_read(self, message: Message) -> dict[str, Any]:
        tidy = self._tidy(message)
        if tidy.tool_calls:
            return {"role": "assistant", "content": f'{{"answer": {tidy.answer}}}'}
        if tidy.role == "tool":
            return {"role": "user", "content": render("tasks/tool_result", result=tidy.content)}
        return tidy.as_openai()


def list_of(item: type[BaseModel]) -> Any:
    """The type of a list of such objects."""
    return GenericAlias(list, (item,))


def no_answer() -> Unusable:
    """Why a conversation gives no example."""
    return Unusable("no_answer", "no answer to the user that this task could learn from")


def last_exchange_up_to_call(messages: Sequence[Message]) -> tuple[Message, ...] | None:
    """The conversation up to the answer to its last answered user turn; what follows a call there is left out."""
    whole = whole_conversation(messages)
    if whole is None:
        return None
    asked = max(at for at, message in enumerate(whole) if message.role == "user")
    return (*whole[:asked], *_up_to_calls(whole[asked:]))


def _up_to_calls(messages: Sequence[Message]) -> list[Message]:
    """The messages without those between a call and the next user turn.

    What answers a request is the first call that it leads to; the call's result and the talk about it come later.
    """
    kept, called = [], False
    for message in messages:
        called = called and message.role != "user"
        if not called:
            kept.append(message)
        called = called or bool(message.tool_calls)
    return kept


def _message_of(call: ToolCall) -> Message:
    return Message(role="assistant", tool_calls=(call,))
