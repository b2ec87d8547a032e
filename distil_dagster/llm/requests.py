"""What is asked of a model and what comes of it, and the key under which an answer is kept for ever."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pydantic import BaseModel

from distil_dagster.data.messages import ToolCall
from distil_dagster.llm.structured import response_format
from distil_dagster.secrets import names_secret

FailureReason = Literal["truncated", "refused_by_provider", "invalid_answer", "timeout", "provider_error", "not_bought"]

# How a provider is reached and what it charges changes no answer, and may hold secrets: never keyed, never stored.
_CONNECTION_SETTINGS = frozenset(
    {
        "api_base",
        "api_version",
        "base_url",
        "extra_headers",
        "headers",
        "input_cost_per_token",
        "num_retries",
        "organization",
        "output_cost_per_token",
        "timeout",
    }
)
_CONNECTION_PREFIXES = ("aws_", "azure_", "vertex_")
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)


class Route(Protocol):
    """Where a model's requests go: a litellm model string, and what is needed to reach it.

    `extra` holds further request parameters (laid over those of the request, so a model that takes one temperature only
    can be given it) and connection settings in litellm's names.
    """

    @property
    def model(self) -> str:
        """A litellm model string; `{name}` in it stands for the catalogue name."""
        ...

    @property
    def base_url(self) -> str | None:
        """The address, where it is not the provider's own."""
        ...

    @property
    def api_key_env(self) -> str | None:
        """The name of the environment variable that holds the API key."""
        ...

    @property
    def extra(self) -> Mapping[str, Any]:
        """Further request parameters and connection settings."""
        ...


@dataclass(frozen=True)
class Request:
    """One question to a model, `model` being a catalogue name; `sample` tells repeated equal questions apart."""

    model: str
    messages: tuple[dict[str, Any], ...]
    schema: type[BaseModel] | None = None
    schema_name: str = ""
    tools: tuple[dict[str, Any], ...] = ()
    temperature: float | None = None
    max_tokens: int | None = None
    sample: int = 0


@dataclass(frozen=True)
class Usage:
    """Tokens as the provider counts them; `cached_tokens` are the part of the prompt that it had seen before."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True)
class Answered:
    """A usable answer. `key` is its row in the journal; `cost_usd` is None where the model's price is not known."""

    text: str
    parsed: BaseModel | None
    tool_calls: tuple[ToolCall, ...]
    usage: Usage
    cost_usd: float | None
    finish_reason: str
    key: str
    from_journal: bool


@dataclass(frozen=True)
class Failed:
    """A request without a usable answer, and why."""

    reason: FailureReason
    detail: str
    key: str


def request_body(request: Request, route: Route) -> dict[str, Any]:
    """Everything that may change the answer, and nothing else: what the journal stores and keys."""
    body: dict[str, Any] = {"model": model_string(request.model, route), "messages": list(request.messages)}
    if request.tools:
        body["tools"] = list(request.tools)
    if request.schema is not None:
        body["response_format"] = response_format(request.schema, request.schema_name)
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.max_tokens is not None:
        body["max_tokens"] = request.max_tokens
    body |= {name: value for name, value in route.extra.items() if not is_connection_setting(name)}
    return body | {"sample": request.sample}


def model_string(name: str, route: Route) -> str:
    """The litellm model string of a catalogue name."""
    return route.model.replace("{name}", name)


def is_connection_setting(name: str) -> bool:
    """Whether an extra parameter says how to reach a provider rather than what to answer."""
    return name in _CONNECTION_SETTINGS or name.startswith(_CONNECTION_PREFIXES) or names_secret(name)


def canonical_json(value: Any) -> str:
    """The same ASCII text for equal JSON values, whatever the order of their keys."""
    return _CANONICAL.encode(value)


def request_key(body_text: str) -> str:
    """The SHA-256 of a body's canonical JSON, in hex: equal requests have equal keys, in every run and version."""
    return hashlib.sha256(body_text.encode("ascii")).hexdigest()


def answer_text(outcome: Answered) -> str:
    """The field `answer` of a structured reply, as JSON where it is no text, or the whole text of a free one."""
    if outcome.parsed is None:
        return outcome.text
    answer = outcome.parsed.model_dump().get("answer", outcome.text)
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
