"""What became of the traces of a case whose right answers are known, as figures."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from distil_dagster.traces.ingest import Traces
from distil_dagster.traces.relabel import RelabelledTraces
from distil_dagster.traces.relevance import FilteredTraces

CASES = Path(__file__).parents[2].parent / "shared" / "cases"
BAD = ("irrelevant", "corrupted")


@dataclass(frozen=True)
class TraceFigures:
    """How many lines went where, and how right the filter and the labels are; shares from 0 to 1."""

    lines: int
    seeds: int
    unstructured: int
    set_aside: dict[str, int]
    filtered_out: dict[str, int]
    relabelled: int
    dropped: int
    filter_recall: float
    filter_precision: float
    logged_right: float
    labels_right: float
    wrong_lines: tuple[int, ...]

    def row(self, case: str) -> str:
        """A line of a Markdown table."""
        aside = ", ".join(f"{count} {reason}" for reason, count in self.set_aside.items())
        out = ", ".join(f"{count} {reason}" for reason, count in self.filtered_out.items())
        shares = (self.filter_recall, self.filter_precision, self.logged_right, self.labels_right)
        cells = [
            case,
            self.lines,
            self.seeds,
            self.unstructured,
            aside,
            out,
            self.dropped,
            *(f"{s:.2f}" for s in shares),
        ]
        return "| " + " | ".join(map(str, cells)) + " |"


HEADER = (
    "| case | lines | seeds | unstructured | set aside | filtered out | invalid | recall | precision "
    "| logged right | relabelled right |\n" + "|---" * 11 + "|"
)


def read_gold(case: Path, name: str = "gold.jsonl") -> dict[int, dict]:
    """What is known of each line of the trace file."""
    rows = map(json.loads, (case / name).read_text("utf-8").rstrip("\n").split("\n"))
    return {row["line"]: row for row in rows}


def noise_of(row: dict) -> str:
    """What the line is, a duplicate being what it repeats."""
    return row.get("orig_noise") or row["noise"]


def same_answer(one: str, other: str) -> bool:
    """Whether two answers are equal: as JSON where they are, as texts otherwise."""
    try:
        return json.loads(one) == json.loads(other)
    except ValueError:
        return one.strip() == other.strip()


def figures(
    gold: dict[int, dict], traces: Traces, filtered: FilteredTraces, relabelled: RelabelledTraces
) -> TraceFigures:
    """Compare what trace processing did with what is known."""
    bad = {row.line for row in filtered.rows if noise_of(gold[row.line]) in BAD}
    out = {row.line for row in filtered.rows if not row.kept}
    known = [row for row in relabelled.rows if gold[row.line]["answer"] is not None and row.line not in bad]
    wrong = [row.line for row in known if not same_answer(row.answer, gold[row.line]["answer"])]
    logged = [same_answer(row.logged_answer, gold[row.line]["answer"]) for row in known]
    return TraceFigures(
        lines=traces.lines,
        seeds=len(filtered.rows),
        unstructured=len(traces.part("unstructured")),
        set_aside=dict(Counter(row.reason for row in traces.set_aside).most_common()),
        filtered_out=dict(Counter(row.reason for row in filtered.rows if not row.kept).most_common()),
        relabelled=len(relabelled.rows),
        dropped=len(relabelled.dropped),
        filter_recall=len(out & bad) / max(1, len(bad)),
        filter_precision=len(out & bad) / max(1, len(out)),
        logged_right=sum(logged) / max(1, len(logged)),
        labels_right=1 - len(wrong) / max(1, len(known)),
        wrong_lines=tuple(wrong),
    )
