"""The teacher's answers to the test rows, with examples shown first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from distil_dagster.config.catalogue import steady_temperature
from distil_dagster.data.examples import Example
from distil_dagster.evaluation.judging import Asks
from distil_dagster.llm.requests import Answered, Failed, Request, answer_text
from distil_dagster.progress import Progress
from distil_dagster.tasks.base import Task
from distil_dagster.tasks.shots import teacher_turns

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
    shown = teacher_turns(task, shots)
    requests = []
    for row in rows:
        system, *rest = task.teacher_prompt(row)
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
