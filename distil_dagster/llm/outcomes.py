"""What can come of sending a request once: an answer, or one of the ways in which there is none."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

from distil_dagster.llm.answers import RawAnswer
from distil_dagster.llm.requests import FailureReason

_SHOWN_CHARACTERS = 300
_CONTENT_WORDS = ("content_filter", "content_policy", "content management policy", "moderation", "flagged")
_SPENT_WORDS = ("insufficient_quota", "insufficient credit", "billing", "exceeded your current quota")


@dataclass(frozen=True)
class Refusal:
    """The provider is busy; `retry_after` is the number of seconds that it asks to be left alone."""

    detail: str
    retry_after: float | None = None


@dataclass(frozen=True)
class Trouble:
    """Something that may pass: nobody listens, no answer in time, an error of the server."""

    kind: Literal["unreachable", "timeout", "server"]
    detail: str


@dataclass(frozen=True)
class Rejection:
    """The provider will not answer this request, however often it is sent."""

    reason: FailureReason
    detail: str


@dataclass(frozen=True)
class Denied:
    """The provider will not answer any request of this route: no access, no such model, no credit."""

    status: int
    detail: str


Outcome = RawAnswer | Refusal | Trouble | Rejection | Denied


def from_status(status: int, text: str, retry_after: float | None) -> Refusal | Trouble | Rejection | Denied:
    """What an HTTP error status means; `text` is the body that came with it."""
    detail = f"status {status}: {_error_message(text)}"
    lowered = text.lower()
    if status == 402 or (status == 429 and any(word in lowered for word in _SPENT_WORDS)):
        return Denied(status, detail)
    if status in (429, 503, 529):
        return Refusal(detail, retry_after)
    if status == 408 or status >= 500:
        return Trouble("server", detail)
    if any(word in lowered for word in _CONTENT_WORDS):
        return Rejection("refused_by_provider", detail)
    if status in (401, 403, 404):
        return Denied(status, detail)
    return Rejection("provider_error", detail)


def retry_after_of(headers: Mapping[str, str]) -> float | None:
    """The seconds to wait that a response asks for, or None; a date counts from now."""
    milliseconds = headers.get("retry-after-ms")
    if milliseconds is not None:
        return _seconds(milliseconds, scale=0.001)
    value = headers.get("retry-after")
    if value is None:
        return None
    seconds = _seconds(value)
    if seconds is not None:
        return seconds
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())


def _seconds(text: str, scale: float = 1.0) -> float | None:
    try:
        value = float(text) * scale
    except ValueError:
        return None
    return max(0.0, value) if math.isfinite(value) else None


def _error_message(text: str) -> str:
    """The provider's own words: the message inside the usual error object, or the text as it is."""
    try:
        error = json.loads(text)["error"]
        message = error["message"] if isinstance(error, dict) else error
    except (ValueError, KeyError, TypeError, RecursionError):
        message = text
    return " ".join(str(message).split())[:_SHOWN_CHARACTERS] or "no message"
