"""The contexts that examples are generated from."""

from __future__ import annotations

from distil_dagster.data.folder import UnstructuredRow
from distil_dagster.errors import DataError
from distil_dagster.tasks.base import Task
from distil_dagster.traces.seeds import SeedData


def contexts_for(task: Task, seeds: SeedData) -> list[UnstructuredRow]:
    """The texts to generate from, each once; none for a task that generates from no context.

    They are the unstructured texts. Where there are none, and the student is shown contexts, those of the training
    seeds stand in; contexts of the test set never do.

    Raises:
        DataError: the task needs contexts, and there are none.
    """
    if task.context_use == "none":
        return []
    contexts = _distinct(seeds.unstructured)
    if not contexts and task.context_use == "shown":
        contexts = _distinct(
            [UnstructuredRow(text=seed.context, source=seed.source) for seed in seeds.train if seed.context]
        )
    if not contexts:
        instead = ", or training rows with a context" if task.context_use == "shown" else ""
        raise DataError(
            f"{task.name} generates examples from contexts, and there are none: give unstructured.jsonl or "
            f"unstructured.csv with a column `context`{instead}"
        )
    return contexts


def _distinct(rows: list[UnstructuredRow]) -> list[UnstructuredRow]:
    """The rows that hold text, the first of each text."""
    first: dict[str, UnstructuredRow] = {}
    for row in rows:
        if row.text.strip():
            first.setdefault(row.text, row)
    return list(first.values())
