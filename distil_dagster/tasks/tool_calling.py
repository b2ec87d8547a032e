"""Tool calling: a request goes in, the one tool call that fulfils it comes out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from pydantic import BaseModel, Field, create_model

from distil_dagster.data.examples import Example
from distil_dagster.data.messages import Message
from distil_dagster.tasks.base import GenerationRequest, Invalid, Parsed, Unusable
from distil_dagster.tasks.tool_task import ToolTask, last_exchange_up_to_call, no_answer


class ToolCalling(ToolTask):
    """The single-turn tool-calling task of one job description: only the last turn is learned."""

    name = "tool-calling-closed-book"
    generation_template = "tool_calling"

    def turns(self, example: Example) -> list[Example]:
        """The example itself."""
        return [example]

    def labels_in(self, example: Example) -> tuple[str, ...]:
        """The tool that the answer calls."""
        return tuple(dict.fromkeys(call.name for call in example.target.tool_calls))

    def question_text(self, example: Example) -> str:
        """The user's turn; the whole conversation as JSON where more came before the answer."""
        chat = self._chat(example.prompt)
        return example.question if len(chat) == 1 else json.dumps(chat, ensure_ascii=False)

    def similarity_text(self, example: Example) -> str:
        """The request: the call is much the same for all requests of one kind and says little about likeness."""
        return example.question

    def examples_of(self, messages: Sequence[Message], single_turn: bool | None = None) -> list[Example] | Unusable:
        """One exchange for each user turn that was answered; the conversation with its history where asked for.

        Of several answers to one user turn the first tool call counts, and a text only where none is called.
        """
        if single_turn is not False:
            return self._exchanges(messages)
        found = last_exchange_up_to_call(messages)
        return no_answer() if found is None else [Example(messages=found, logged_answers=(found[-1].answer,))]

    def conversation_shown(self, example: Example) -> list[dict[str, Any]]:
        """What the student sees, without the system prompt."""
        return self._chat(example.prompt)

    def relabel_prompt(self, example: Example) -> list[dict[str, Any]]:
        """The request, asked again."""
        return self.teacher_prompt(example)

    def relabel_schema(self) -> type[BaseModel]:
        """The shape of one call."""
        return self.answer_schema()

    def whole_answer(self, example: Example) -> str:
        """The call as the task reads it."""
        return self.parse_prediction(example.answer).text

    def read_relabelled(self, text: str) -> Parsed:
        """The call in what a teacher wrote."""
        return self.parse_prediction(text)

    def with_whole_answer(self, example: Example, text: str) -> Example:
        """The example with another last turn: a call, or the text itself where it is none."""
        return example.model_copy(update={"messages": (*example.prompt, self._read_answer(text))})

    def generated_schema(self, request: GenerationRequest) -> type[BaseModel]:  # noqa: ARG002 - protocol
        """Requests with their calls. Every tool is allowed, so that a teacher that drifts is seen and not silenced."""
        return self._generated_model

    @cached_property
    def _generated_model(self) -> type[BaseModel]:
        row = create_model(
            "GeneratedRequest",
            question=(str, Field(description="The request, as a user would send it.")),
            answer=(self._call_model, Field(description="The tool call that fulfils it.")),
        )
        return create_model("GeneratedRequests", examples=(list[row], Field(description="The new examples.")))

    def read_generated(self, answer: BaseModel, request: GenerationRequest) -> list[Example]:  # noqa: ARG002 - protocol
        """The generated requests and calls as examples."""
        return [
            Example(messages=(Message(role="user", content=row["question"]), self._called(row["answer"])))
            for row in answer.model_dump()["examples"]
        ]

    def _problem(self, example: Example) -> Invalid | None:
        if not example.question.strip():
            return Invalid("empty_question", "the user's text is empty")
        return self._answer_problem(example.target)
