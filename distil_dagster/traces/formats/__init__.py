"""Trace formats: one reader a format, from a JSON object to a conversation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from distil_dagster.config.sections import ObservationFormat
from distil_dagster.data.messages import Message
from distil_dagster.data.normalise import Unreadable
from distil_dagster.traces.formats.langfuse import langfuse
from distil_dagster.traces.formats.openai_messages import (
    openai_messages,
    openai_messages_with_images,
    unstructured_with_openai_messages,
)

TraceReader = Callable[[Mapping[str, Any]], tuple[Message, ...] | Unreadable]

_READERS: dict[ObservationFormat, TraceReader] = {
    "langfuse": langfuse,
    "openai_messages": openai_messages,
    "openai_messages_with_images": openai_messages_with_images,
    "unstructured_with_openai_messages": unstructured_with_openai_messages,
}


def reader_of(observation_format: ObservationFormat) -> TraceReader:
    """The reader of an `observation_format`; it gives a reason for what it cannot read, and raises nothing."""
    return _READERS[observation_format]
