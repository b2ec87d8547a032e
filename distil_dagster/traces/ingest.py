"""Reading and splitting the trace file: every line ends up in exactly one part, or set aside with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from distil_dagster.config.sections import TraceProcessing
from distil_dagster.data.examples import Example, Part, SetAside, Trace, content_id
from distil_dagster.data.files import Record, kept_aside, read_records, set_aside
from distil_dagster.data.messages import as_openai
from distil_dagster.data.normalise import Unreadable, strip_leading_system
from distil_dagster.tasks.base import Task, Unusable
from distil_dagster.traces.formats import reader_of
from distil_dagster.traces.identity import as_read, example_key


class SplitTrace(Trace):
    """A trace and the part it stands in."""

    part: Part


@dataclass(frozen=True)
class Traces:
    """The trace file, line by line: `lines == len(rows) + len(set_aside)`. `note` says why there are none."""

    rows: list[SplitTrace]
    set_aside: list[SetAside]
    lines: int = 0
    note: str = ""

    def part(self, part: Part) -> list[SplitTrace]:
        """The traces of one part, in the order drawn."""
        return [row for row in self.rows if row.part == part]


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


@dataclass(frozen=True)
class _Usable:
    """A trace that the task can learn from, and the keys of the examples in it."""

    trace: Trace
    keys: tuple[str, ...]


def ingest_traces(
    path: Path,
    task: Task,
    settings: TraceProcessing,
    *,
    max_total_length: int,
    seed: int | None,
    held_out: Sequence[Example] | None = None,
    teacher_sees_images: bool = False,
) -> Traces:
    """Read, normalise, deduplicate and split a trace file.

    `held_out` is the user's own test set, where there is one: traces that ask what it asks are set aside, so that what
    is tested was never seen. Students read text only, so traces with images are no seeds; they are unlabelled material
    where the teacher that generates examples sees images, and set aside where it does not.
    """
    records = read_records(path)
    aside = list(records.set_aside)
    usable: list[_Usable] = []
    for record in records.records:
        found = _read(record, path.name, task, settings, max_total_length, teacher_sees_images=teacher_sees_images)
        if isinstance(found, _Usable):
            usable.append(found)
        else:
            aside.append(found)
    lines = len(usable) + len(aside)
    tested = {example_key(as_read(example, task)) for example in held_out or ()}
    unique, repeated = _without_repetitions(usable, tested)
    rows, beyond = split_traces(unique, split_sizes(settings, test_set_given=held_out is not None), seed)
    return Traces(rows, sorted([*aside, *repeated, *beyond], key=lambda row: row.line), lines)


def split_traces(
    traces: Sequence[Trace], sizes: SplitSizes, seed: int | None
) -> tuple[list[SplitTrace], list[SetAside]]:
    """Draw the traces that become training and test seeds; the rest is unstructured data, and so are images.

    A trace stands in exactly one part, and a conversation is never cut. What is beyond the largest number of
    unstructured rows is set aside.
    """
    order = list(traces)
    Random(seed).shuffle(order)  # a seed of None draws anew each time, as the configuration says
    seeds = [trace for trace in order if not trace.has_images]
    test_start, rest_start = sizes.train, sizes.train + sizes.test
    rest = seeds[rest_start:] + [trace for trace in order if trace.has_images]
    parts: list[tuple[Part, Sequence[Trace]]] = [
        ("train", seeds[:test_start]),
        ("test", seeds[test_start:rest_start]),
        ("unstructured", rest[: sizes.unstructured]),
    ]
    rows = [
        SplitTrace(part=part, file=trace.file, line=trace.line, messages=trace.messages)
        for part, drawn in parts
        for trace in drawn
    ]
    beyond = [
        _set_aside(trace, "beyond_max_unstructured", f"more than {sizes.unstructured} traces are left after the seeds")
        for trace in rest[sizes.unstructured :]
    ]
    return rows, beyond


def _read(
    record: Record, file: str, task: Task, settings: TraceProcessing, max_length: int, *, teacher_sees_images: bool
) -> _Usable | SetAside:
    messages = reader_of(settings.observation_format)(record.values)
    if isinstance(messages, Unreadable):
        return set_aside(file, record.line, messages, record.values)
    if settings.remove_system_prompt_from_traces:
        messages = strip_leading_system(messages)
    trace = Trace(file=file, line=record.line, messages=messages)
    if not any(message.role == "user" and (message.content.strip() or message.images) for message in messages):
        return _set_aside(trace, "no_question", "no user turn with text")
    if trace.has_images and not teacher_sees_images:
        return _set_aside(trace, "image_for_text_models", "holds an image, which neither teacher nor student sees")
    length = sum(len(message.content) + len(message.answer) * bool(message.tool_calls) for message in messages)
    if length > max_length:
        return _set_aside(trace, "too_long", f"{length} characters, more than validation_max_total_length {max_length}")
    if trace.has_images:
        return _Usable(trace, (content_id(as_openai(messages)),))
    examples = task.examples_of(messages, settings.convert_to_single_turn)
    if isinstance(examples, Unusable):
        return _set_aside(trace, examples.reason, examples.detail)
    return _Usable(trace, tuple(example_key(example) for example in examples))


def _without_repetitions(traces: Sequence[_Usable], tested: set[str]) -> tuple[list[Trace], list[SetAside]]:
    """Keep the first trace of those that ask the same.

    Not only exact duplicates go: two traces with one question and two answers would put one question into both train
    and test, or two labels into train.
    """
    first: dict[tuple[str, ...], Trace] = {}
    repeated: list[SetAside] = []
    for usable in traces:
        trace = usable.trace
        if tested.intersection(usable.keys):
            repeated.append(_set_aside(trace, "in_test_set", "asks what a row of the test set asks"))
        elif (earlier := first.setdefault(usable.keys, trace)) is not trace:
            same = as_openai(earlier.messages) == as_openai(trace.messages)
            reason = "duplicate" if same else "same_question"
            repeated.append(_set_aside(trace, reason, f"repeats line {earlier.line}"))
    return list(first.values()), repeated


def _set_aside(trace: Trace, reason: str, detail: str) -> SetAside:
    return kept_aside(trace.file, trace.line, reason, detail, {"messages": as_openai(trace.messages)})


def empty_traces(note: str) -> Traces:
    """No traces, with the reason for people."""
    return Traces([], [], note=note)
