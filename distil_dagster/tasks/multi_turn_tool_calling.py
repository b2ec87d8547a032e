"""Multi-turn tool calling: a conversation goes in, the next tool call comes out.

An example is a whole conversation whose every assistant turn is one call; each of them is learned.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, Field, create_model

from distil_dagster.data.examples import Example
from distil_dagster.data.messages import Message, Role
from distil_dagster.data.normalise import load_json
from distil_dagster.prompts import render
from distil_dagster.tasks.base import GenerationRequest, Invalid, Parsed, Unusable
from distil_dagster.tasks.conversations import answers, whole_conversation
from distil_dagster.tasks.text_task import without_fence
from distil_dagster.tasks.tool_task import ToolTask, list_of, no_answer

_Heard = Literal["user", "tool"]
_MAY_FOLLOW: Mapping[Role | None, tuple[Role, ...]] = {
    None: ("user",),
    "user": ("user", "assistant"),
    "assistant": ("user", "tool"),
    "tool": ("user", "assistant"),
}


class MultiTurnToolCalling(ToolTask):
    """The multi-turn tool-calling task of one job description."""

    name = "multi-turn-tool-calling-closed-book"
    generation_template = "multi_turn_tool_calling"

    def turns(self, example: Example) -> list[Example]:
        """One example for each call that follows a user turn: the conversation up to and with it."""
        answered = _assistant_turns(example.messages)
        logged: Sequence[tuple[str, ...]] = [(answer,) for answer in example.logged_answers]
        if len(logged) != len(answered):
            logged = [()] * len(answered)
        asked = _first_user_turn(example.messages)
        return [
            example.model_copy(update={"messages": example.messages[: at + 1], "logged_answers": logged_answer})
            for at, logged_answer in zip(answered, logged, strict=True)
            if at > asked and example.messages[at].tool_calls
        ]

    def labels_in(self, example: Example) -> tuple[str, ...]:
        """The tools that the conversation calls, in order of their first use."""
        return tuple(dict.fromkeys(call.name for message in example.messages for call in message.tool_calls))

    def question_text(self, example: Example) -> str:
        """The conversation before the answer, as a JSON list of messages."""
        return json.dumps(self._chat(example.prompt), ensure_ascii=False)

    def similarity_text(self, example: Example) -> str:
        """What the user said and what was called, a line each: results of tools are long and alike."""
        said = [message for message in example.messages if message.role in ("user", "assistant")]
        return "\n".join(self._tidy(message).answer for message in said)

    def examples_of(self, messages: Sequence[Message], single_turn: bool | None = None) -> list[Example] | Unusable:
        """The conversation from its first user turn to its last answer; its exchanges where asked for.

        Assistant turns may be texts or wrong calls: relabelling replaces them.
        """
        if single_turn:
            return self._exchanges(messages)
        whole = whole_conversation(messages)
        if whole is None:
            return no_answer()
        asked = _first_user_turn(whole)
        found = (*[message for message in whole[:asked] if message.role == "system"], *whole[asked:])
        logged = tuple(found[at].answer for at in _assistant_turns(found))
        return [Example(messages=found, logged_answers=logged)]

    def conversation_shown(self, example: Example) -> list[dict[str, Any]]:
        """All messages, a placeholder in place of each answer."""
        shown: list[dict[str, Any]] = []
        number = 0
        for message in example.messages:
            if message.role == "assistant":
                number += 1
                shown.append({"role": "assistant", "content": f"<answer {number}>"})
            elif message.role != "system":
                shown.append(self._tidy(message).as_openai())
        return shown

    def relabel_prompt(self, example: Example) -> list[dict[str, Any]]:
        """One message that shows the conversation with placeholders and asks for all calls."""
        prompt = render(
            "traces/relabel_conversation",
            system_prompt=self._teacher_system_prompt(example),
            messages=self.conversation_shown(example),
            count=len(_assistant_turns(example.messages)),
        )
        return [{"role": "user", "content": prompt}]

    def relabel_schema(self) -> type[BaseModel]:
        """A list of calls, one for each assistant turn."""
        return self._relabel_model

    def whole_answer(self, example: Example) -> str:
        """All answers as a JSON list: calls as objects, an answer that is none as its text."""
        return self._as_list([example.messages[at] for at in _assistant_turns(example.messages)])

    def read_relabelled(self, text: str) -> Parsed:
        """The list of calls in what a teacher wrote; how many there must be is the example's to say."""
        read = self._read_answers(text)
        if read is None:
            return Parsed(text.strip(), valid=False, problem="not a JSON list of tool calls")
        found = [(number, self._answer_problem(turn)) for number, turn in enumerate(read, start=1)]
        problems = [f"answer {number}: {problem.detail}" for number, problem in found if problem is not None]
        return Parsed(self._as_list(read), valid=not problems, problem="; ".join(problems))

    def with_whole_answer(self, example: Example, text: str) -> Example:
        """The conversation with other answers; without any where the text does not give one for each turn."""
        answered = _assistant_turns(example.messages)
        read = self._read_answers(text) or []
        if len(read) != len(answered):
            read = [Message(role="assistant")] * len(answered)
        messages = list(example.messages)
        for at, turn in zip(answered, read, strict=True):
            messages[at] = turn
        return example.model_copy(update={"messages": tuple(messages)})

    def generated_schema(self, request: GenerationRequest) -> type[BaseModel]:  # noqa: ARG002 - protocol
        """Conversations as turns: what comes in, and the call that answers it. Every tool is allowed in each."""
        return self._generated_model

    @cached_property
    def _generated_model(self) -> type[BaseModel]:
        row = create_model(
            "GeneratedConversation",
            turns=(list_of(self._turn_model), Field(min_length=1, description="The conversation, turn by turn.")),
        )
        return create_model("GeneratedConversations", examples=(list[row], Field(description="The new conversations.")))

    def read_generated(self, answer: BaseModel, request: GenerationRequest) -> list[Example]:  # noqa: ARG002 - protocol
        """The generated conversations as examples."""
        return [
            Example(
                messages=tuple(
                    message
                    for turn in row["turns"]
                    for message in (Message(role=turn["role"], content=turn["content"]), self._called(turn["call"]))
                )
            )
            for row in answer.model_dump()["examples"]
        ]

    @cached_property
    def _relabel_model(self) -> type[BaseModel]:
        described = Field(description="The tool calls, one for each assistant turn, in order.")
        return create_model("ConversationAnswer", answer=(list_of(self._call_model), described))

    @cached_property
    def _turn_model(self) -> type[BaseModel]:
        return create_model(
            "GeneratedTurn",
            role=(_Heard, Field(description="Who speaks: the user, or the tool that was called.")),
            content=(str, Field(description="What the user says, or the result of the call.")),
            call=(self._call_model, Field(description="The assistant's tool call that answers it.")),
        )

    def _problem(self, example: Example) -> Invalid | None:
        messages = [message for message in example.messages if message.role != "system"]
        problem = _order_problem(messages) or _silence(messages)
        if problem is not None:
            return problem
        found = (self._answer_problem(messages[at]) for at in _assistant_turns(messages))
        return next((problem for problem in found if problem is not None), None)

    def _read_answers(self, text: str) -> list[Message] | None:
        """The assistant's turns in a JSON list; none where it is no list."""
        try:
            items = load_json(without_fence(text))
        except ValueError:
            return None
        if isinstance(items, dict):
            items = [items]
        if not isinstance(items, list):
            return None
        texts = [item if isinstance(item, str) else json.dumps(item, ensure_ascii=False) for item in items]
        return [self._read_answer(item) for item in texts]

    def _as_list(self, answers: Sequence[Message]) -> str:
        read = [self._read_answer(answer.answer) for answer in answers]
        entries = [turn.tool_calls[0].as_answer() if turn.tool_calls else turn.content for turn in read]
        return json.dumps(entries, ensure_ascii=False)


def _assistant_turns(messages: Sequence[Message]) -> list[int]:
    """Where the assistant's turns stand."""
    return [at for at, message in enumerate(messages) if message.role == "assistant"]


def _first_user_turn(messages: Sequence[Message]) -> int:
    return next((at for at, message in enumerate(messages) if message.role == "user"), len(messages))


def _order_problem(messages: Sequence[Message]) -> Invalid | None:
    """A turn where it cannot be: a call answers what came in before it, and has one result at most."""
    before: Role | None = None
    for message in messages:
        if message.role not in _MAY_FOLLOW[before]:
            place = "at the start" if before is None else f"after a turn of role {before}"
            return Invalid("wrong_turns", f"a turn of role {message.role} {place}")
        before = message.role
    if before != "assistant":
        return Invalid("wrong_turns", "the last turn is no answer")
    return None


def _silence(messages: Sequence[Message]) -> Invalid | None:
    """A turn without content."""
    if any(message.role == "user" and not message.content.strip() for message in messages):
        return Invalid("empty_question", "a user turn is empty")
    answered = _assistant_turns(messages)
    silent = sum(not answers(messages[at]) for at in answered)
    if silent:
        return Invalid("wrong_turns", f"{silent} of {len(answered)} assistant turns have no answer; each needs one")
    return None
