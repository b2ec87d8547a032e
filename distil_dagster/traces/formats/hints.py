"""What to say of a line that another format would read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distil_dagster.config.sections import ObservationFormat
from distil_dagster.data.normalise import Unreadable, load_json


def wrong_format(expected: ObservationFormat, key: str, record: Mapping[str, Any]) -> Unreadable:
    """A line that lacks the key of its format; the detail names the format that the line looks like."""
    keys = ", ".join(list(record)[:5]) or "no keys"
    fitting = fitting_format(record)
    hint = "" if fitting is None else f": it looks like observation_format {fitting}"
    return Unreadable("wrong_format", f"{expected} needs a key {key}; the line has {keys:.200}{hint}")


def fitting_format(record: Mapping[str, Any]) -> ObservationFormat | None:
    """The format that a line looks like."""
    if "messages" in record:
        return "openai_messages"
    if "input" in record and "output" in record:
        return "langfuse"
    if _holds_messages(record.get("context")):
        return "unstructured_with_openai_messages"
    return None


def _holds_messages(context: object) -> bool:
    if isinstance(context, str):
        try:
            context = load_json(context)
        except ValueError:
            return False
    if isinstance(context, list):
        return any(isinstance(item, Mapping) and "role" in item for item in context)
    return isinstance(context, Mapping) and "messages" in context
