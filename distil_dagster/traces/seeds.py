"""Seed data: what training and evaluation start from, from traces, from the folder's own files, or from both."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from distil_dagster.config.sections import TraceProcessing
from distil_dagster.data.examples import Example, Part, SetAside
from distil_dagster.data.files import kept_aside
from distil_dagster.data.folder import JobFolder, UnstructuredRow
from distil_dagster.data.messages import as_openai
from distil_dagster.data.rows import ExampleFile
from distil_dagster.errors import DataError
from distil_dagster.tasks.base import Invalid, Task
from distil_dagster.traces.identity import as_read, example_key
from distil_dagster.traces.ingest import Traces
from distil_dagster.traces.relabel import RelabelledTraces
from distil_dagster.traces.unlabelled import unlabelled_rows

log = logging.getLogger(__name__)
_COMFORTABLE_ROWS = 20


@dataclass(frozen=True)
class SeedData:
    """Labelled train and test examples and unlabelled texts; no question stands in both train and test."""

    train: list[Example]
    test: list[Example]
    unstructured: list[UnstructuredRow]
    set_aside: list[SetAside]
    warnings: list[str]


def build_seed_data(
    folder: JobFolder,
    traces: Traces,
    relabelled: RelabelledTraces,
    task: Task,
    settings: TraceProcessing,
    *,
    max_total_length: int,
) -> SeedData:
    """Join the examples from traces with the folder's own files.

    The user's test set is used as it is: its rows are checked, but never filtered or relabelled.

    Raises:
        DataError: there is nothing to train on, or nothing to test on.
    """
    aside: list[SetAside] = []
    own_train, own_test = folder.train(), folder.test()
    train = [*_examples(relabelled, "train"), *_valid(own_train, task, max_total_length, aside)]
    test = [*_examples(relabelled, "test"), *_valid(own_test, task, max_total_length, aside)]
    tested = {example_key(example) for example in test}
    train = _unseen(train, tested, aside)
    unstructured = unlabelled_rows(folder, traces, task, settings, tested, aside)
    if not train:
        raise DataError(f"{folder.path}: nothing to train on: give traces.jsonl, or train.jsonl or train.csv")
    if not test:
        raise DataError(
            f"{folder.path}: nothing to test on: give test.jsonl or test.csv, or traces.jsonl and "
            "trace_processing.num_traces_as_testing_base above 0"
        )
    return SeedData(train, test, unstructured, aside, _warnings(train, test, task))


def _examples(relabelled: RelabelledTraces, part: Part) -> list[Example]:
    return [row.as_example() for row in relabelled.rows if row.part == part]


def _valid(found: ExampleFile | None, task: Task, max_total_length: int, aside: list[SetAside]) -> list[Example]:
    if found is None:
        return []
    aside += found.set_aside
    valid = []
    for example in (as_read(row, task) for row in found.examples):
        verdict = task.validate(example, max_total_length)
        if isinstance(verdict, Invalid):
            aside.append(_drop(example, verdict.reason, verdict.detail))
        else:
            valid.append(example)
    return valid


def _unseen(train: Sequence[Example], tested: set[str], aside: list[SetAside]) -> list[Example]:
    """The training rows that ask what no test row asks, the first of each question."""
    kept: dict[str, Example] = {}
    for example in train:
        key = example_key(example)
        if key in tested:
            aside.append(_drop(example, "in_test_set", "asks what a row of the test set asks"))
        elif (earlier := kept.setdefault(key, example)) is not example:
            aside.append(_drop(example, "duplicate", f"repeats {earlier.source}"))
    return list(kept.values())


def _warnings(train: Sequence[Example], test: Sequence[Example], task: Task) -> list[str]:
    warnings = [
        f"only {len(rows)} {name} rows; {_COMFORTABLE_ROWS} or more give figures that can be trusted"
        for name, rows in (("train", train), ("test", test))
        if len(rows) < _COMFORTABLE_ROWS
    ]
    for name, rows in (("train", train), ("test", test)):
        counts = Counter(label for example in rows for label in task.labels_in(example))
        missing = [label for label in task.labels if not counts[label]]
        if missing:
            warnings.append(f"no {name} row of {', '.join(missing)}")
    for warning in warnings:
        log.warning("%s", warning)
    return warnings


def _drop(example: Example, reason: str, detail: str) -> SetAside:
    file, _, line = example.source.rpartition(":")
    return kept_aside(file, int(line), reason, detail, {"messages": as_openai(example.messages)})
