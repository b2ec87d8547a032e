"""Responses in the form of OpenAI's chat API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from distil_dagster.simulator.call import Call

# Four characters a token is the usual rule of thumb for English text.
CHARACTERS_A_TOKEN = 4


@dataclass(frozen=True)
class Reply:
    """The text of an answer and whether it was cut short."""

    text: str
    cut: bool = False


def within_limit(text: str, max_tokens: int | None) -> Reply:
    """The answer, cut where it exceeds the tokens that the request allows."""
    if max_tokens is None or tokens(len(text)) <= max_tokens:
        return Reply(text)
    return Reply(text[: max_tokens * CHARACTERS_A_TOKEN], cut=True)


def cut_in_half(text: str) -> Reply:
    """The first half of an answer."""
    return Reply(text[: len(text) // 2], cut=True)


def tokens(characters: int) -> int:
    """A rough count of tokens, at least 1."""
    return max(1, -(-characters // CHARACTERS_A_TOKEN))


def completion(call: Call, reply: Reply, created: int) -> dict[str, Any]:
    """The body of a successful response; `system_fingerprint` says that it is simulated."""
    prompt_tokens, completion_tokens = tokens(call.prompt_characters), tokens(len(reply.text))
    return {
        "id": f"chatcmpl-{call.digest[:24]}",
        "object": "chat.completion",
        "created": created,
        "model": call.model,
        "system_fingerprint": "simulated",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": reply.text},
                "finish_reason": "length" if reply.cut else "stop",
            }
        ],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        },
    }


def failure(message: str, kind: str) -> dict[str, Any]:
    """The body of a response that is no answer."""
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}
