"""Malformed lines of all kinds: each is kept or set aside as a careful reader would."""

import json
from pathlib import Path

import pytest

from distil_dagster.job import open_job
from distil_dagster.traces.ingest import Traces, ingest_traces

CASE = Path(__file__).parents[2].parent / "shared" / "cases" / "edge_malformed"

pytestmark = [
    pytest.mark.cases,
    pytest.mark.skipif(not CASE.is_dir(), reason="the data sets are not beside the checkout"),
]


# What the gold leaves open, as we decide it: the reason of what is set aside, none for what is kept.
POLICY = {
    "messages_is_a_json_string": None,
    "unstructured_with_openai_messages_line_in_openai_file": "wrong_format",
    "utf8_bom": None,
    "developer_role": None,
    "sharegpt_roles": None,
    "image_part_in_text_format": "image_in_text_format",
    "assistant_first": None,
    "two_assistant_turns_in_a_row": None,
    "multi_turn_in_single_turn_task": None,
    "ends_on_user": None,
    "tool_call_in_classification": None,
}


@pytest.fixture(scope="module")
def gold() -> list[dict]:
    return [json.loads(line) for line in (CASE / "gold.jsonl").read_text("utf-8").rstrip("\n").split("\n")]


@pytest.fixture(scope="module")
def found() -> Traces:
    job = open_job(CASE / "config.yaml")
    settings, length = job.config.trace_processing, job.max_total_length
    return ingest_traces(CASE / "traces.jsonl", job.task, settings, max_total_length=length, seed=1)


def test_lines_are_kept_or_set_aside_as_the_gold_says(gold, found):
    aside = {row.line: row.reason for row in found.set_aside}
    assert found.lines == len(gold)
    kept = {row.line for row in found.rows}
    for row in gold:
        if row["sub"] == "drop":
            assert row["line"] in aside, row["noise"]
        if row["sub"] == "keep":
            # Cases made from one question repeat each other.
            assert row["line"] in kept or aside[row["line"]] in ("duplicate", "same_question"), row["noise"]


def test_what_the_gold_leaves_open_is_decided_alike_each_time(gold, found):
    aside = {row.line: row.reason for row in found.set_aside}
    decided = {row["noise"]: aside.get(row["line"]) for row in gold if row["sub"] == "policy"}
    assert decided == POLICY


def test_a_line_of_another_format_names_the_format_that_reads_it(gold, found):
    (line,) = [row["line"] for row in gold if row["noise"].startswith("unstructured_with_openai_messages")]
    (row,) = [row for row in found.set_aside if row.line == line]
    assert row.detail.endswith("it looks like observation_format unstructured_with_openai_messages")
