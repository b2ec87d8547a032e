"""Reading and splitting the trace file: every line ends up in exactly one part, or set aside with a reason."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from distil_dagster.config.sections import TraceProcessing
from distil_dagster.data.examples import Part, SetAside, Trace
from distil_dagster.data.files import Record, kept_aside, read_records, set_aside
from distil_dagster.data.messages import Frozen, Message, as_openai
from distil_dagster.data.normalise import Unreadable, strip_leading_system
from distil_dagster.tasks.base import Task
from distil_dagster.traces.formats import TraceReader, reader_of

_WORD = re.compile(r"\w+")


class SplitTrace(Frozen):
    """A trace and the part it stands in."""

    part: Part
    file: str
    line: int
    messages: tuple[Message, ...]

    def as_trace(self) -> Trace:
        """The trace itself."""
        return Trace(file=self.file, line=self.line, messages=self.messages)


@dataclass(frozen=True)
class Traces:
    """The trace file, line by line: `lines == len(rows) + len(set_aside)`. `note` says why there are none."""

    rows: list[SplitTrace]
    set_aside: list[SetAside]
    lines: int = 0
    note: str = ""

    def part(self, part: Part) -> list[Trace]:
        """The traces of one part, in the order drawn."""
        return [row.as_trace() for row in self.rows if row.part == part]


@dataclass(frozen=True)
class SplitSizes:
    """How many traces each part takes; the test part takes none where the user gives a test set."""

    train: int
    test: int
    unstructured: int


def split_sizes(settings: TraceProcessing, *, test_set_given: bool) -> SplitSizes:
    """The sizes that the settings ask for."""
    return SplitSizes(
        train=settings.num_traces_as_training_base,
        test=0 if test_set_given else settings.num_traces_as_testing_base,
        unstructured=settings.max_unstructured,
    )


def ingest_traces(
    path: Path,
    task: Task,
    settings: TraceProcessing,
    *,
    max_total_length: int,
    seed: int | None,
    held_out_questions: Sequence[str] | None = None,
) -> Traces:
    """Read, normalise, deduplicate and split a trace file.

    `held_out_questions` are the inputs of the user's own test set, where there is one: traces that ask the same are set
    aside, so that what is tested was never seen.
    """
    records = read_records(path)
    aside = list(records.set_aside)
    usable: list[Trace] = []
    read = reader_of(settings.observation_format)
    for record in records.records:
        trace = _usable_trace(record, path.name, read, task, settings, max_total_length)
        if isinstance(trace, Unreadable):
            aside.append(set_aside(path.name, record.line, trace, record.values))
        else:
            usable.append(trace)
    lines = len(usable) + len(aside)
    unique, repeated = _without_repetitions(usable, held_out_questions or ())
    rows, beyond = split_traces(unique, split_sizes(settings, test_set_given=held_out_questions is not None), seed)
    return Traces(rows, sorted([*aside, *repeated, *beyond], key=lambda row: row.line), lines)


def split_traces(
    traces: Sequence[Trace], sizes: SplitSizes, seed: int | None
) -> tuple[list[SplitTrace], list[SetAside]]:
    """Draw the traces that become training and test seeds; the rest is unstructured data.

    A trace stands in exactly one part, and a conversation is never cut. What is beyond the largest number of
    unstructured rows is set aside.
    """
    order = list(traces)
    Random(seed).shuffle(order)  # a seed of None draws anew each time, as the configuration says
    test_start, rest_start = sizes.train, sizes.train + sizes.test
    parts: list[tuple[Part, Sequence[Trace]]] = [
        ("train", order[:test_start]),
        ("test", order[test_start:rest_start]),
        ("unstructured", order[rest_start : rest_start + sizes.unstructured]),
    ]
    rows = [
        SplitTrace(part=part, file=trace.file, line=trace.line, messages=trace.messages)
        for part, drawn in parts
        for trace in drawn
    ]
    beyond = [
        _set_aside(trace, "beyond_max_unstructured", f"more than {sizes.unstructured} traces are left after the seeds")
        for trace in order[rest_start + sizes.unstructured :]
    ]
    return rows, beyond


def input_key(messages: Iterable[Message]) -> str:
    """What the user said, without letter case, punctuation and spacing: equal keys ask the same."""
    said = (" ".join(_WORD.findall(message.content.casefold())) for message in messages if message.role == "user")
    return "\n".join(said)


def question_key(question: str) -> str:
    """The key of a conversation with this one user turn."""
    return input_key([Message(role="user", content=question)])


def _usable_trace(
    record: Record, file: str, read: TraceReader, task: Task, settings: TraceProcessing, max_total_length: int
) -> Trace | Unreadable:
    messages = read(record.values)
    if isinstance(messages, Unreadable):
        return messages
    if settings.remove_system_prompt_from_traces:
        messages = strip_leading_system(messages)
    if not any(message.role == "user" and message.content.strip() for message in messages):
        return Unreadable("no_messages", "no user turn with text")
    if not task.examples_of(messages):
        return Unreadable("no_messages", "no answer to the user that this task could learn from")
    length = sum(len(message.content) for message in messages)
    if length > max_total_length:
        return Unreadable(
            "bad_message", f"{length} characters, more than validation_max_total_length {max_total_length}"
        )
    return Trace(file=file, line=record.line, messages=messages)


def _without_repetitions(traces: Sequence[Trace], held_out: Sequence[str]) -> tuple[list[Trace], list[SetAside]]:
    """Keep the first trace of those that ask the same.

    Not only exact duplicates go: two traces with one question and two answers would put one question into both train
    and test, or two labels into train.
    """
    tested = {question_key(question) for question in held_out}
    first: dict[str, Trace] = {}
    repeated: list[SetAside] = []
    for trace in traces:
        key = input_key(trace.messages)
        if key in tested:
            repeated.append(_set_aside(trace, "in_test_set", "asks what a row of the test set asks"))
        elif (earlier := first.setdefault(key, trace)) is not trace:
            same = as_openai(earlier.messages) == as_openai(trace.messages)
            reason = "duplicate" if same else "same_question"
            repeated.append(_set_aside(trace, reason, f"repeats line {earlier.line}"))
    return list(first.values()), repeated


def _set_aside(trace: Trace, reason: str, detail: str) -> SetAside:
    return kept_aside(trace.file, trace.line, reason, detail, {"messages": as_openai(trace.messages)})


def empty_traces(note: str) -> Traces:
    """No traces, with the reason for people."""
    return Traces([], [], note=note)
