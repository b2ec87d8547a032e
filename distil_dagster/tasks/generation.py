"""What the generation prompts of all tasks are made of."""

from __future__ import annotations

from typing import Any

from distil_dagster.data.examples import Example
from distil_dagster.data.job import JobDescription
from distil_dagster.data.messages import as_openai
from distil_dagster.prompts import render
from distil_dagster.tasks.base import GenerationRequest, Shown


def render_generation(
    template: str, job: JobDescription, request: GenerationRequest, shown: Shown, **values: Any
) -> str:
    """The text of `synthesis/<template>`, which extends `synthesis/base`."""
    return render(
        f"synthesis/{template}",
        job=job,
        count=request.count,
        label=request.label,
        context=request.context,
        positives=[as_shown(example) for example in shown.positives],
        negatives=[as_shown(example) for example in shown.negatives],
        unlabelled=list(shown.unlabelled),
        guidelines=list(shown.guidelines),
        **values,
    )


def as_shown(example: Example) -> dict[str, Any]:
    """An example as a prompt shows it: one exchange as question and answer, a longer conversation as messages."""
    context = {} if example.context is None else {"context": example.context}
    if len(example.messages) > 2:
        return {**context, "messages": as_openai(example.messages)}
    return {**context, "question": example.question, "answer": example.answer}
