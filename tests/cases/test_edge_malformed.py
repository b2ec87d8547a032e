"""Malformed lines of all kinds: each is kept or set aside as a careful reader would."""

import json
from pathlib import Path

import pytest

from distil_dagster.job import open_job
from distil_dagster.traces.ingest import ingest_traces

CASE = Path(__file__).parents[2].parent / "shared" / "cases" / "edge_malformed"

pytestmark = [
    pytest.mark.cases,
    pytest.mark.skipif(not CASE.is_dir(), reason="the data sets are not beside the checkout"),
]


def test_lines_are_kept_or_set_aside_as_the_gold_says():
    job = open_job(CASE / "config.yaml")
    gold = [json.loads(line) for line in (CASE / "gold.jsonl").read_text("utf-8").rstrip("\n").split("\n")]
    found = ingest_traces(
        CASE / "traces.jsonl", job.task, job.config.trace_processing, max_total_length=job.max_total_length, seed=1
    )
    aside = {row.line: row.reason for row in found.set_aside}
    assert found.lines == len(gold)
    kept = {row.line for row in found.rows}
    for row in gold:
        if row["sub"] == "drop":
            assert row["line"] in aside, row["noise"]
        if row["sub"] == "keep":
            # Cases made from one question repeat each other.
            assert row["line"] in kept or aside[row["line"]] in ("duplicate", "same_question"), row["noise"]
