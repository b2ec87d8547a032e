"""What several tasks do alike with conversations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distil_dagster.data.examples import Example
from distil_dagster.data.messages import Message, as_openai


def single_turns(messages: Sequence[Message]) -> list[tuple[Message, ...]]:
    """The [system?, user, assistant] exchanges of a conversation.

    Of several assistant messages in a row the last one counts as the answer; a leading system message goes with every
    exchange, so that keeping it or stripping it is decided in one place, where traces are read.
    """
    system = tuple(message for message in messages[:1] if message.role == "system")
    exchanges: list[tuple[Message, ...]] = []
    question: Message | None = None
    answer: Message | None = None
    for message in (*messages, Message(role="user")):
        if message.role == "user":
            if question is not None and answer is not None and question.content.strip():
                exchanges.append((*system, question, answer))
            question, answer = message, None
        elif message.role == "assistant" and message.content.strip():
            answer = message
    return exchanges


def student_prompt(system_prompt: str, example: Example) -> list[dict[str, Any]]:
    """The messages before the answer, under the task's system prompt; a system message that was kept joins it."""
    kept = [message.content for message in example.prompt if message.role == "system"]
    rest = [message for message in example.prompt if message.role != "system"]
    return [{"role": "system", "content": "\n\n".join([system_prompt, *kept])}, *as_openai(rest)]
