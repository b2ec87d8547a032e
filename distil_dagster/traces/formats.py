"""Trace formats: one function a format, from a JSON object to a conversation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from distil_dagster.data.messages import Message
from distil_dagster.data.normalise import Unreadable, parse_messages
from distil_dagster.errors import DataError

TraceReader = Callable[[Mapping[str, Any]], tuple[Message, ...] | Unreadable]


def openai_messages(record: Mapping[str, Any]) -> tuple[Message, ...] | Unreadable:
    """`{"messages": […]}`; other top-level keys, such as `tools` or `model`, may stand beside it."""
    if "messages" not in record:
        keys = ", ".join(list(record)[:5]) or "no keys"
        return Unreadable("wrong_format", f"openai_messages needs a key messages; the line has {keys}")
    return parse_messages(record["messages"])


_READERS: dict[str, TraceReader] = {"openai_messages": openai_messages}


def reader_of(observation_format: str) -> TraceReader:
    """The reader of an `observation_format`.

    Raises:
        DataError: this version does not read the format.
    """
    if observation_format not in _READERS:
        raise DataError(
            f"trace_processing.observation_format: {observation_format} cannot be read by this version, "
            f"which reads {', '.join(_READERS)}"
        )
    return _READERS[observation_format]
