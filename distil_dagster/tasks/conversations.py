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
        elif message.role == "assistant" and answers(message):
            answer = message
    return exchanges


def whole_conversation(messages: Sequence[Message]) -> tuple[Message, ...] | None:
    """The conversation up to its last answer; none where nothing answers a user."""
    end = next((at for at in range(len(messages), 0, -1) if answers(messages[at - 1])), 0)
    has_question = any(message.role == "user" and message.content.strip() for message in messages[: max(0, end - 1)])
    return tuple(messages[:end]) if has_question else None


def exchanges_or_whole(messages: Sequence[Message], *, single_turn: bool) -> list[tuple[Message, ...]]:
    """The exchanges of a conversation, or the whole of it as one; nothing where nothing answers a user."""
    if single_turn:
        return single_turns(messages)
    whole = whole_conversation(messages)
    return [] if whole is None else [whole]


def answers(message: Message) -> bool:
    """Whether a message is an assistant's answer: a text, or a call of a tool."""
    return message.role == "assistant" and bool(message.content.strip() or message.tool_calls)


def user_text(messages: Sequence[Message]) -> str:
    """What the users said, a line a turn."""
    return "\n".join(message.content for message in messages if message.role == "user").strip()


def student_prompt(system_prompt: str, example: Example) -> list[dict[str, Any]]:
    """The messages before the answer, under the task's system prompt; a system message that was kept joins it."""
    kept = [message.content for message in example.prompt if message.role == "system"]
    rest = [message for message in example.prompt if message.role != "system"]
    return [{"role": "system", "content": "\n\n".join([system_prompt, *kept])}, *as_openai(rest)]
