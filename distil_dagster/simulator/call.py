"""What one chat request says: who is asked, for which role, and the marked blocks of its prompt."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FREE_TEXT = "free_text"


@dataclass(frozen=True)
class Call:
    """A chat request, read. `role` is the name of the JSON schema it asks for, or "free_text"."""

    model: str
    messages: tuple[Mapping[str, Any], ...]
    role: str
    schema: Mapping[str, Any]
    max_tokens: int | None
    digest: str

    @property
    def prompt(self) -> str:
        """The text of all user turns; a request to repair an answer follows the turn that holds the payload."""
        return "\n".join(text_of(message) for message in self.messages if message.get("role") == "user")

    @property
    def prompt_characters(self) -> int:
        """Characters of all messages, for counting tokens."""
        return sum(len(text_of(message)) for message in self.messages)


@dataclass(frozen=True)
class NotACall:
    """A request that no provider would answer, and why."""

    reason: str


def read_call(raw: bytes) -> Call | NotACall:
    """Read the body of a chat request."""
    try:
        body = json.loads(raw)
    except ValueError as error:
        return NotACall(f"the body is not JSON: {error}")
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        return NotACall("`model` is missing")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        return NotACall("`messages` must be a list of messages with at least one")
    if body.get("stream"):
        return NotACall("streaming is not simulated")
    wanted = _json_schema(body)
    return Call(
        model=body["model"],
        messages=tuple(messages),
        role=str(wanted.get("name") or FREE_TEXT),
        schema=wanted.get("schema") or {},
        max_tokens=body.get("max_tokens") or body.get("max_completion_tokens"),
        digest=hashlib.sha256(raw).hexdigest(),
    )


def _json_schema(body: Mapping[str, Any]) -> Mapping[str, Any]:
    wanted = body.get("response_format")
    schema = wanted.get("json_schema") if isinstance(wanted, dict) else None
    return schema if isinstance(schema, dict) else {}


def text_of(message: Mapping[str, Any]) -> str:
    """The text of a message, whether its content is a string, a list of parts or nothing."""
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def text_blocks(prompt: str, tag: str) -> list[str]:
    """What stands between `<tag …>` and `</tag>`, in order, without surrounding whitespace."""
    inner = rf"((?:(?!<{tag}[ >]).)*?)"
    return [block.strip() for block in re.findall(rf"<{tag}(?: [^>]*)?>{inner}</{tag}>", prompt, re.DOTALL)]


def text_block(prompt: str, tag: str) -> str:
    """The last block of a tag, as instructions before it may name the tag; empty where there is none."""
    blocks = text_blocks(prompt, tag)
    return blocks[-1] if blocks else ""


def json_blocks(prompt: str, tag: str) -> list[tuple[int | None, Any]]:
    """The JSON values that stand right behind `<tag>` or `<tag id="7">`, in order, each with its id.

    Read by a JSON decoder, so that a value may itself contain the tag. What is not JSON is passed over.
    """
    decoder, found = json.JSONDecoder(), []
    position = 0
    opening = re.compile(rf'<{tag}(?: id="(\d+)")?>\s*')
    while match := opening.search(prompt, position):
        position = match.end()
        try:
            value, position = decoder.raw_decode(prompt, position)
        except ValueError:
            continue
        found.append((int(match[1]) if match[1] else None, value))
    return found


def conversation(prompt: str) -> list[Mapping[str, Any]]:
    """The messages of the `<conversation>` block; empty where there is none."""
    blocks = json_blocks(prompt, "conversation")
    return [message for message in blocks[-1][1] if isinstance(message, dict)] if blocks else []
