"""Labelled examples and the rows that each phase hands to the next.

Every row type is a frozen pydantic model with scalar fields or JSON-like ones: a list of rows is a Parquet table.
"""

from __future__ import annotations

import hashlib
import json
from typing import Literal

from pydantic import Field

from distil_dagster.data.messages import Frozen, Message, as_openai

Part = Literal["train", "test", "unstructured"]


def content_id(*parts: object) -> str:
    """A short stable name for content: the first 16 hex digits of the SHA-256 of its JSON."""
    text = json.dumps(parts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Example(Frozen):
    """A conversation whose last message is the right answer, with where it came from.

    `source` names the origin for people (`traces.jsonl:17`, `train.jsonl:3`, `synthetic:128`); `request_keys` are the
    journal keys of the answers that shaped it; `logged_answers` are what the original model answered, one for each
    assistant turn, on rows from traces.
    """

    messages: tuple[Message, ...] = Field(min_length=2)
    context: str | None = None
    source: str = ""
    logged_answers: tuple[str, ...] = ()
    request_keys: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The same for the same conversation and context, wherever it came from."""
        return content_id(as_openai(self.messages), self.context)

    @property
    def prompt(self) -> tuple[Message, ...]:
        """The conversation before the answer."""
        return self.messages[:-1]

    @property
    def target(self) -> Message:
        """The right answer."""
        return self.messages[-1]

    @property
    def question(self) -> str:
        """The text of the last user turn before the answer."""
        return next((message.content for message in reversed(self.prompt) if message.role == "user"), "")

    @property
    def answer(self) -> str:
        """The right answer as one text; a tool call as `{"name": …, "parameters": {…}}`."""
        return self.target.answer


class SetAside(Frozen):
    """A line or row that the pipeline does not go on with, and why. Nothing is lost silently."""

    file: str
    line: int
    reason: str
    detail: str = ""
    raw: str = ""


class Trace(Frozen):
    """One logged conversation, normalised: no leading system message unless it is to be kept."""

    file: str
    line: int
    messages: tuple[Message, ...]

    @property
    def source(self) -> str:
        """Where the trace stands, for people: `traces.jsonl:17`."""
        return f"{self.file}:{self.line}"

    @property
    def images(self) -> tuple[str, ...]:
        """The addresses of all images in the conversation."""
        return tuple(image for message in self.messages for image in message.images)

    @property
    def has_images(self) -> bool:
        """Whether the conversation holds an image."""
        return bool(self.images)
