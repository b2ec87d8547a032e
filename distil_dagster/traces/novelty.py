"""Which traces are new: those that ask what no earlier trace asked, wherever in the file they stand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

from distil_dagster.data.examples import content_id
from distil_dagster.data.files import kept_aside
from distil_dagster.data.messages import Message, as_openai
from distil_dagster.data.normalise import Unreadable, UnreadableReason, parse_messages
from distil_dagster.tasks.base import Task, Unusable, UnusableReason
from distil_dagster.traces.identity import example_key
from distil_dagster.traces.ingest import Traces

UNREADABLE: frozenset[str] = frozenset((*get_args(UnreadableReason), *get_args(UnusableReason), "no_question"))
"""Why a line gives the task nothing to learn from; a logging format that changed shows in these."""

_BEYOND = "beyond_max_unstructured"


@dataclass(frozen=True, order=True)
class Asked:
    """One trace as drift sees it: its identity, all user turns as one text, the classes or tools of its answers."""

    key: tuple[str, ...]
    text: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Side:
    """Old or new traces, in an order that does not depend on the file's, and how many lines were unreadable."""

    rows: list[Asked]
    unreadable: int

    @property
    def lines(self) -> int:
        """Traces and unreadable lines together; repetitions do not count."""
        return len(self.rows) + self.unreadable


@dataclass(frozen=True)
class Sides:
    """The traces of before, those that came since, and how many of the earlier ones are still there."""

    old: Side
    new: Side
    unchanged: int


def old_and_new(before: Traces, now: Traces, task: Task, single_turn: bool | None = None) -> Sides:
    """Tell the traces that came since `before` from those that were there.

    `single_turn` is what `convert_to_single_turn` was at ingestion. A file that was replaced is all new, as far as no
    trace asks what an earlier one asked.
    """
    old, found = _asked(before, task, single_turn), _asked(now, task, single_turn)
    cut = _cut(before)
    new = [
        asked
        for key, (asked, messages) in found.items()
        if key not in old and not (cut and _as_set_aside(messages) in cut)
    ]
    unreadable_before, unreadable_now = _unreadable(before), _unreadable(now)
    return Sides(
        old=Side(sorted(asked for asked, _ in old.values()), unreadable_before.total()),
        new=Side(sorted(new), (unreadable_now - unreadable_before).total()),
        unchanged=len(found) - len(new),
    )


def _asked(
    traces: Traces, task: Task, single_turn: bool | None
) -> dict[tuple[str, ...], tuple[Asked, tuple[Message, ...]]]:
    """What every trace asks, and the trace itself, by identity."""
    read = ((_read(messages, task, single_turn), messages) for messages in _conversations(traces))
    return {asked.key: (asked, messages) for asked, messages in read}


def _conversations(traces: Traces) -> Iterator[tuple[Message, ...]]:
    """All traces, those beyond the largest number of unstructured rows included: which are beyond is chance."""
    yield from (row.messages for row in traces.rows)
    for aside in traces.set_aside:
        if aside.reason == _BEYOND and (messages := _whole(aside.raw)) is not None:
            yield messages


def _whole(raw: str) -> tuple[Message, ...] | None:
    """The conversation of a trace that was set aside; none where it was too long to be kept whole."""
    try:
        messages = parse_messages(json.loads(raw)["messages"], images=True)
    except ValueError:
        return None
    return None if isinstance(messages, Unreadable) else messages


def _cut(traces: Traces) -> set[str]:
    """The beginnings of traces that were set aside and not kept whole: enough to know them again."""
    return {aside.raw for aside in traces.set_aside if aside.reason == _BEYOND and _whole(aside.raw) is None}


def _as_set_aside(messages: Sequence[Message]) -> str:
    return kept_aside("", 0, "", "", {"messages": as_openai(messages)}).raw


def _unreadable(traces: Traces) -> Counter[str]:
    return Counter(aside.raw for aside in traces.set_aside if aside.reason in UNREADABLE)


def _read(messages: Sequence[Message], task: Task, single_turn: bool | None) -> Asked:
    text = "\n".join(message.content for message in messages if message.role == "user")
    has_images = any(message.images for message in messages)
    examples = [] if has_images else task.examples_of(messages, single_turn)
    if isinstance(examples, Unusable) or not examples:
        return Asked((content_id(as_openai(messages)),), text, ())
    labels = {_label(label, task) for example in examples for label in task.labels_in(example)}
    return Asked(tuple(example_key(example) for example in examples), text, tuple(sorted(labels)))


def _label(label: str, task: Task) -> str:
    """The class that a logged answer means, for the logged model may write it in its own way; a tool's name as is."""
    return task.parse_prediction(label).text if task.classes else label
