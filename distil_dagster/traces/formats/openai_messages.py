"""The three formats that hold OpenAI's messages: plain, with images, and as a text in the unstructured column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distil_dagster.data.messages import Message
from distil_dagster.data.normalise import Unreadable, kind_of, load_json, parse_messages
from distil_dagster.traces.formats.hints import wrong_format


def openai_messages(record: Mapping[str, Any]) -> tuple[Message, ...] | Unreadable:
    """`{"messages": […]}`; other top-level keys, such as `tools` or `model`, may stand beside it."""
    if "messages" not in record:
        return wrong_format("openai_messages", "messages", record)
    return parse_messages(record["messages"])


def openai_messages_with_images(record: Mapping[str, Any]) -> tuple[Message, ...] | Unreadable:
    """`{"messages": […]}` whose content may hold image parts, as links or `data:` URLs."""
    if "messages" not in record:
        return wrong_format("openai_messages_with_images", "messages", record)
    return parse_messages(record["messages"], images=True)


def unstructured_with_openai_messages(record: Mapping[str, Any]) -> tuple[Message, ...] | Unreadable:
    """`{"context": "{\\"messages\\": […]}"}`: the conversation as JSON text, a bare list or an object forgiven."""
    if "context" not in record:
        return wrong_format("unstructured_with_openai_messages", "context", record)
    context = record["context"]
    if isinstance(context, str):
        try:
            context = load_json(context)
        except ValueError:
            return Unreadable("no_messages", "context is a text, not a conversation as JSON")
    if isinstance(context, Mapping):
        if "messages" not in context:
            return Unreadable("no_messages", "context is an object without messages")
        return parse_messages(context["messages"])
    if not isinstance(context, list):
        return Unreadable("no_messages", f"context is {kind_of(context)}, not a conversation as JSON")
    return parse_messages(context)
