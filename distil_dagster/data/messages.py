"""Chat messages: the one form that every example and trace is held in, whatever file it came from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Role = Literal["system", "user", "assistant", "tool"]


class Frozen(BaseModel):
    """A value: immutable, and strict about its fields."""

    # Validators are built at first use: most of the time that loading the definitions would take is theirs.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class ToolCall(Frozen):
    """A call of one tool, with its arguments as an object."""

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    id: str | None = None

    def as_answer(self) -> dict[str, Any]:
        """The call as the answer of a tool task: `{"name": …, "parameters": {…}}`."""
        return {"name": self.name, "parameters": self.arguments}


class Message(Frozen):
    """One turn. An assistant turn has text, tool calls, or both; the others have text.

    `images` are the addresses of images that stand beside the text: links, or `data:` URLs.
    """

    role: Role
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    images: tuple[str, ...] = ()

    @property
    def answer(self) -> str:
        """What an assistant turn answers, as one text: its tool call as JSON, or its text where it calls no tool.

        Several calls are a JSON list: an answer that no task takes, but that people can read.
        """
        if not self.tool_calls:
            return self.content
        calls = [call.as_answer() for call in self.tool_calls]
        return json.dumps(calls[0] if len(calls) == 1 else calls, ensure_ascii=False)

    def as_openai(self) -> dict[str, Any]:
        """The message in the form of OpenAI's chat API, with arguments as an object."""
        message: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.images:
            pictures = [{"type": "image_url", "image_url": {"url": url}} for url in self.images]
            message["content"] = [{"type": "text", "text": self.content}, *pictures]
        if self.tool_calls:
            message["tool_calls"] = [
                {"type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                | ({"id": call.id} if call.id else {})
                for call in self.tool_calls
            ]
        if self.tool_call_id:
            message["tool_call_id"] = self.tool_call_id
        return message


def as_openai(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The conversation in the form of OpenAI's chat API."""
    return [message.as_openai() for message in messages]
