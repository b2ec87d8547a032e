"""The teacher's answers to the test rows, with examples shown first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from distil_dagster.config.catalogue import steady_temperature
from distil_dagster.data.examples import Example
from distil_dagster.evaluation.judging import Asks
from distil_dagster.llm.requests import Answered, Failed, Request, answer_text
from distil_dagster.progress import Progress
from distil_dagster.tasks.base import Task

PHASE = "teacher evaluation"


@dataclass(frozen=True)
class TeacherAnswers:
    """One text a row, empty where the teacher gave no usable answer; `failures` says why, by row number from 0."""

    texts: list[str]
    failures: dict[int, str]


def ask_teacher(
    task: Task,
    rows: Sequence[Example],
    shots: Sequence[Example],
    model: str,
    client: Asks,
    progress: Progress | None = None,
) -> TeacherAnswers:
    """Let the teacher do the job for each row, with `shots` shown as earlier turns of the conversation."""
    schema = task.answer_schema()
    shown = few_shot_turns(task, shots, as_json=schema is not None)
    requests = []
    for row in rows:
        system, *rest = task.prompt(row)
        requests.append(
            Request(
                model,
                (system, *shown, *rest),
                schema=schema,
                schema_name="answer" if schema else "",
                temperature=steady_temperature(model),
            )
        )
    outcomes = client.ask(requests, PHASE, progress)
    failures = {i: f"{o.reason}: {o.detail}" for i, o in enumerate(outcomes) if isinstance(o, Failed)}
    texts = [answer_text(outcome) if isinstance(outcome, Answered) else "" for outcome in outcomes]
    return TeacherAnswers(texts, failures)


def draw_shots(task: Task, train: Sequence[Example], count: int, seed: int | None) -> list[Example]:
    """`count` training examples to show, and where the task has classes at least one of each, so possibly more.

    None at all where `count` is 0.
    """
    if not count:
        return []
    order = list(train)
    Random(seed).shuffle(order)
    first_of_label = {task.label(example): example for example in reversed(order)} if task.labels else {}
    chosen = list(first_of_label.values())
    chosen += [example for example in order if all(example is not taken for taken in chosen)][
        : max(0, count - len(chosen))
    ]
    return chosen


def few_shot_turns(task: Task, shots: Sequence[Example], *, as_json: bool) -> list[dict[str, Any]]:
    """The examples as user and assistant turns; the answers as JSON objects where that is how answers are asked for."""
    turns: list[dict[str, Any]] = []
    for example in shots:
        answer = task.completion(example)
        if as_json:
            answer = {"role": "assistant", "content": json.dumps({"answer": example.answer}, ensure_ascii=False)}
        turns += [*task.prompt(example)[1:], answer]
    return turns
