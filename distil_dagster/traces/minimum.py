"""Whether trace processing made enough examples, and where they were lost if not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from distil_dagster.data.examples import Part
from distil_dagster.errors import DataError
from distil_dagster.traces.relabel import RelabelledTraces
from distil_dagster.traces.relevance import FilteredTraces


def require_minimum(relabelled: RelabelledTraces, counts: Mapping[str, Mapping[Part, int]], minimum: int) -> None:
    """Demand `min_generated_examples` of each part that was made from traces.

    `counts` says, step by step, how many seed traces of each part were left after it.

    Raises:
        DataError: a part has fewer; says how many were lost where.
    """
    problems = []
    for part in sorted({part for by_part in counts.values() for part, count in by_part.items() if count}):
        made = relabelled.count(part)
        if made < minimum:
            steps = ", ".join(f"{by_part.get(part, 0)} {step}" for step, by_part in counts.items())
            problems.append(
                f"trace processing made {made} {part} examples, fewer than trace_processing.min_generated_examples = "
                f"{minimum}: {steps}, {made} labelled and valid"
            )
    if problems:
        raise DataError("\n".join(problems))


def seed_counts(filtered: FilteredTraces) -> dict[str, dict[Part, int]]:
    """How many seed traces of each part were drawn, and how many the filter kept."""
    return {
        "drawn": dict(Counter(row.part for row in filtered.rows)),
        "kept by the relevance filter": dict(Counter(row.part for row in filtered.rows if row.kept)),
    }
