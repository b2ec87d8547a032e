"""Trace processing on a real data set with known noise, with a simulated teacher that makes no mistakes."""

import json
from pathlib import Path

import pytest

from distil_dagster.job import Job, open_job
from distil_dagster.llm.client import open_client
from distil_dagster.simulator.server import SimulatedTeacher
from distil_dagster.traces.ingest import Traces, ingest_traces
from distil_dagster.traces.relabel import RelabelledTraces, relabel_traces
from distil_dagster.traces.relevance import FilteredTraces, filter_traces

CASES = Path(__file__).parents[2].parent / "shared" / "cases"
CASE = CASES / "banking77_10class"

pytestmark = [
    pytest.mark.cases,
    pytest.mark.skipif(not CASE.is_dir(), reason="the data sets are not beside the checkout"),
]


def noise_of(row: dict) -> str:
    """What the line is, a duplicate being what it repeats."""
    return row.get("orig_noise", row["noise"])


@pytest.fixture(scope="module")
def gold() -> dict[int, dict]:
    rows = map(json.loads, (CASE / "gold.jsonl").read_text("utf-8").rstrip("\n").split("\n"))
    return {row["line"]: row for row in rows}


@pytest.fixture(scope="module")
def processed(tmp_path_factory) -> tuple[Job, Traces, FilteredTraces, RelabelledTraces]:
    folder = tmp_path_factory.mktemp("banking77")
    with SimulatedTeacher(CASE) as teacher, pytest.MonkeyPatch.context() as patch:
        models = {
            "*": {"model": "openai/simulated/{name}", "base_url": teacher.base_url, "api_key_env": "NO_KEY_NEEDED"}
        }
        (folder / "models.yaml").write_text(json.dumps(models))
        patch.setenv("DISTIL_MODELS", str(folder / "models.yaml"))
        patch.setenv("NO_KEY_NEEDED", "none")
        # Every trace is a seed, so that every line of the file is judged.
        job = open_job(CASE / "config.yaml", {"trace_processing": {"num_traces_as_training_base": 400}})
        settings, length = job.config.trace_processing, job.max_total_length
        test = [example.question for example in job.folder.test().examples]
        with open_client(job.config, folder) as client:
            found = ingest_traces(
                CASE / "traces.jsonl", job.task, settings, max_total_length=length, seed=42, held_out_questions=test
            )
            filtered = filter_traces(found, job.task, job.description, settings, client)
            return job, found, filtered, relabel_traces(filtered, job.task, settings, client, max_total_length=length)


def test_no_line_is_lost(processed, gold):
    _, traces, filtered, relabelled = processed
    assert len(traces.rows) + len(traces.set_aside) == traces.lines == len(gold)
    assert len(filtered.rows) == len(traces.rows)
    assert len(relabelled.rows) + len(relabelled.dropped) == sum(row.kept for row in filtered.rows)


def test_the_filter_finds_what_is_irrelevant_or_corrupted_and_keeps_what_is_clean(processed, gold):
    _, _, filtered, _ = processed
    noise = {row.line: noise_of(gold[row.line]) for row in filtered.rows}
    bad = [row for row in filtered.rows if noise[row.line] in ("irrelevant", "corrupted")]
    clean = [row for row in filtered.rows if noise[row.line] == "clean"]
    assert len(bad) > 30
    assert sum(not row.kept for row in bad) >= 0.95 * len(bad)
    assert sum(row.kept for row in clean) >= 0.98 * len(clean)


def test_every_relabelled_answer_is_right_where_the_question_is_intact(processed, gold):
    _, _, _, relabelled = processed
    assert len(relabelled.rows) > 200
    wrong = [row.line for row in relabelled.rows if row.answer != gold[row.line]["answer"]]
    assert wrong == []


def test_test_questions_are_not_among_the_seeds(processed):
    job, traces, _, _ = processed
    tested = {example.question.casefold() for example in job.folder.test().examples}
    assert not tested & {row.messages[0].content.casefold() for row in traces.rows}
