"""Texts without an answer: what the folder gives, and what became of the traces that are no seeds."""

from __future__ import annotations

from collections.abc import Sequence

from distil_dagster.config.sections import TraceProcessing
from distil_dagster.data.examples import SetAside, Trace
from distil_dagster.data.files import kept_aside
from distil_dagster.data.folder import JobFolder, UnstructuredRow
from distil_dagster.data.messages import Message
from distil_dagster.tasks.base import Task
from distil_dagster.traces.identity import text_key
from distil_dagster.traces.ingest import Traces

# In this format a conversation is a row of unstructured data first, and a trace besides.
_CONVERSATIONS_ARE_CONTEXTS = "unstructured_with_openai_messages"
_SPEAKERS = {"system": "System", "user": "User", "assistant": "Assistant", "tool": "Tool"}


def unlabelled_rows(
    folder: JobFolder,
    traces: Traces,
    task: Task,
    settings: TraceProcessing,
    tested: set[str],
    aside: list[SetAside],
) -> list[UnstructuredRow]:
    """The folder's own texts and those of the traces that are no seeds, up to `max_unstructured`.

    Where traces are rows of unstructured data themselves, the training seeds are among them, and each is the whole
    conversation. What asks what a test row asks (`tested` holds the keys), or is of no use, goes to `aside`.
    """
    own = folder.unstructured()
    rows = [] if own is None else list(own.rows)
    if own is not None:
        aside += own.set_aside
    rows += _of_traces(traces, task, settings, aside)
    unseen: list[UnstructuredRow] = []
    for row in rows:
        if text_key(row.text) in tested:
            aside.append(_set_aside(row, "in_test_set", "asks what a row of the test set asks"))
        elif len(unseen) >= settings.max_unstructured:
            aside.append(_set_aside(row, "beyond_max_unstructured", f"more than {settings.max_unstructured} texts"))
        else:
            unseen.append(row)
    return unseen


def transcript(messages: Sequence[Message]) -> str:
    """A conversation as one text to read."""
    return "\n".join(f"{_SPEAKERS[message.role]}: {message.answer}" for message in messages)


def _of_traces(traces: Traces, task: Task, settings: TraceProcessing, aside: list[SetAside]) -> list[UnstructuredRow]:
    if settings.observation_format == _CONVERSATIONS_ARE_CONTEXTS:
        chosen = [*traces.part("unstructured"), *traces.part("train")]
        return [_row(trace, transcript(trace.messages)) for trace in chosen]
    rows = []
    for trace in traces.part("unstructured"):
        row = _row(trace, task.unlabelled_text(trace.messages) or "")
        if row.text or row.images:
            rows.append(row)
        else:
            aside.append(_set_aside(row, "no_text_of_use", "as a text without an answer, the task cannot use it"))
    return rows


def _row(trace: Trace, text: str) -> UnstructuredRow:
    return UnstructuredRow(text=text, source=trace.source, images=trace.images)


def _set_aside(row: UnstructuredRow, reason: str, detail: str) -> SetAside:
    file, _, line = row.source.rpartition(":")
    return kept_aside(file, int(line), reason, detail, row.text)
