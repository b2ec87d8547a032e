"""Open-book question answering: the student sees a context and a question about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from distil_dagster.data.examples import Example
from distil_dagster.data.messages import Message
from distil_dagster.tasks.base import ContextUse, Invalid, Unusable, Valid
from distil_dagster.tasks.text_task import TextTask

_QUESTION_WITH_CONTEXT = "Context: {context}\n\nQuestion: {question}"
_CONTEXT_MARK = re.compile(r"\s*context\s*:", re.IGNORECASE)
_QUESTION_MARK = re.compile(r"^[^\S\n]*question[^\S\n]*:", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Asked:
    """A user's text, taken apart."""

    context: str
    question: str


@dataclass(frozen=True)
class NotAsked:
    """A user's text that holds no context and question, and why."""

    problem: str


class OpenBookQuestionAnswering(TextTask):
    """The open-book task of one job description."""

    name = "question-answering-open-book"
    context_use: ContextUse = "shown"
    generation_template = "open_book"

    @property
    def question_with_context(self) -> str:
        """How context and question stand in the user's last turn."""
        return _QUESTION_WITH_CONTEXT

    def prompt(self, example: Example) -> list[dict[str, Any]]:
        """The system prompt and what the user says, the context before the last question."""
        return super().prompt(_with_context_in_question(example))

    def validate(self, example: Example, max_total_length: int) -> Valid | Invalid:
        """There is a context, and all that holds for a text task."""
        if not (example.context or "").strip():
            return Invalid("no_context", "there is no context to answer from")
        return super().validate(example, max_total_length)

    def examples_of(self, messages: Sequence[Message], single_turn: bool | None = None) -> list[Example] | Unusable:
        """The exchanges whose user turn holds a context and a question, both told apart."""
        found = super().examples_of(messages, single_turn)
        if isinstance(found, Unusable):
            return found
        asked = [(example, read_asked(example.question)) for example in found]
        examples = [_taken_apart(example, parts) for example, parts in asked if isinstance(parts, Asked)]
        problems = [parts.problem for _, parts in asked if isinstance(parts, NotAsked)]
        return examples or Unusable("no_context", problems[-1])

    def unlabelled_text(self, messages: Sequence[Message]) -> str | None:
        """The first context that a user gave: another to write questions about."""
        asked = (read_asked(message.content) for message in messages if message.role == "user")
        return next((parts.context for parts in asked if isinstance(parts, Asked)), None)


def read_asked(text: str) -> Asked | NotAsked:
    """Tell context and question apart in `Context: …`, then a line `Question: …`.

    Letter case and spacing of the marks are forgiven. The last question mark counts, as a context may hold some too.
    """
    start = _CONTEXT_MARK.match(text)
    if start is None:
        return NotAsked(f"the user's text does not begin with 'Context:' but with {text.strip()[:40]!r}")
    marks = list(_QUESTION_MARK.finditer(text, start.end()))
    if not marks:
        return NotAsked("no line of the user's text begins with 'Question:'")
    context, question = text[start.end() : marks[-1].start()].strip(), text[marks[-1].end() :].strip()
    if not context:
        return NotAsked("nothing stands between 'Context:' and 'Question:'")
    if not question:
        return NotAsked("nothing stands after 'Question:'")
    return Asked(context, question)


def _taken_apart(example: Example, asked: Asked) -> Example:
    messages = _with_last_question(example, asked.question)
    return example.model_copy(update={"messages": messages, "context": asked.context})


def _with_context_in_question(example: Example) -> Example:
    if example.context is None:
        return example
    question = _QUESTION_WITH_CONTEXT.format(context=example.context, question=example.question)
    return example.model_copy(update={"messages": _with_last_question(example, question)})


def _with_last_question(example: Example, question: str) -> tuple[Message, ...]:
    """The messages with another text in the last user turn before the answer."""
    last = max((at for at, message in enumerate(example.prompt) if message.role == "user"), default=None)
    return tuple(
        message.model_copy(update={"content": question}) if at == last else message
        for at, message in enumerate(example.messages)
    )
