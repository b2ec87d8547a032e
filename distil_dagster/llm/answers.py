"""What a provider sent back, in the form that the journal keeps: the answer without the thinking that led to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from distil_dagster.llm.requests import Usage

# Providers without a reasoning parser leave the thinking in the text: tagged, or in the channels of gpt-oss.
_TAGGED_THINKING = re.compile(r"\s*<(think|thinking|reasoning)>.*?(</\1>\s*|\Z)", re.DOTALL)
_END_OF_UNOPENED_THINKING = re.compile(r"\A(?!\s*[{\[]).*?</think>\s*", re.DOTALL)
_FINAL_CHANNEL = re.compile(r"<\|channel\|>final[^<]*<\|message\|>(.*?)(?:<\|(?:return|end)\|>|\Z)", re.DOTALL)
_ANY_CHANNEL = re.compile(r"\s*(?:<\|start\|>assistant)?<\|channel\|>")

_LENGTH = frozenset({"length", "max_tokens", "model_length"})
_FILTERED = frozenset({"content_filter", "refusal", "safety", "content_filtered", "guardrail_intervened"})


class GarbledAnswer(ValueError):  # noqa: N818 - it says what was received
    """A response that is no chat completion."""


@dataclass(frozen=True)
class RawToolCall:
    """A tool call as sent: its arguments are text that may not be JSON."""

    name: str
    arguments: str
    id: str | None = None


@dataclass(frozen=True)
class RawAnswer:
    """One answer before anything has judged it; `cost_usd` is None where the price is not known."""

    text: str
    tool_calls: tuple[RawToolCall, ...]
    finish_reason: str
    usage: Usage
    cost_usd: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The answer as the journal stores it; the price has a column of its own."""
        fields = asdict(self)
        del fields["cost_usd"]
        return fields

    @classmethod
    def from_json(cls, fields: Mapping[str, Any], cost_usd: float | None) -> RawAnswer:
        """The answer that `as_json` stored."""
        return cls(
            text=fields["text"],
            tool_calls=tuple(RawToolCall(**call) for call in fields["tool_calls"]),
            finish_reason=fields["finish_reason"],
            usage=Usage(**fields["usage"]),
            cost_usd=cost_usd,
        )


def read_completion(payload: Any) -> RawAnswer:
    """Read a chat completion in OpenAI's form.

    Raises:
        GarbledAnswer: the payload is something else.
    """
    try:
        choice = payload["choices"][0]
        message = choice["message"]
        refusal = message.get("refusal")
        return RawAnswer(
            text=refusal or without_thinking(_text_of(message.get("content"))),
            tool_calls=tuple(_tool_call(call) for call in message.get("tool_calls") or ()),
            finish_reason="content_filter" if refusal else _finish_reason(choice.get("finish_reason")),
            usage=_usage(payload.get("usage") or {}),
        )
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise GarbledAnswer(f"not a chat completion ({type(error).__name__}: {error})") from None


def without_thinking(text: str) -> str:
    """The text after a model's thinking; thinking that was cut before its end leaves nothing."""
    if _ANY_CHANNEL.match(text):
        final = _FINAL_CHANNEL.search(text)
        return final[1] if final else ""
    tagged = _TAGGED_THINKING.match(text)
    if tagged:
        return text[tagged.end() :]
    return _END_OF_UNOPENED_THINKING.sub("", text, count=1)


def _text_of(content: Any) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part.get("type") == "text")


def _tool_call(call: Mapping[str, Any]) -> RawToolCall:
    function = call["function"]
    return RawToolCall(name=str(function["name"]), arguments=str(function.get("arguments") or "{}"), id=call.get("id"))


def _finish_reason(reason: str | None) -> str:
    lowered = str(reason or "stop").lower()
    if lowered in _LENGTH:
        return "length"
    return "content_filter" if lowered in _FILTERED else lowered


def _usage(usage: Mapping[str, Any]) -> Usage:
    details = usage.get("prompt_tokens_details") or {}
    return Usage(
        prompt_tokens=int(usage.get("prompt_tokens") or 0),
        completion_tokens=int(usage.get("completion_tokens") or 0),
        cached_tokens=int(details.get("cached_tokens") or 0),
    )
