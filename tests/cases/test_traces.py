"""Trace processing on real data sets with known noise, with a simulated teacher that makes no mistakes."""

from pathlib import Path

import pytest
from cases.figures import CASES, HEADER, TraceFigures, figures, noise_of, read_gold
from projects import opened_project

from distil_dagster.job import open_job
from distil_dagster.llm.client import open_client
from distil_dagster.traces.ingest import Traces, ingest_traces
from distil_dagster.traces.relabel import RelabelledTraces, relabel_traces
from distil_dagster.traces.relevance import FilteredTraces, filter_traces

NAMES = (
    "banking77_10class",
    "bfcl_tools",
    "langfuse_clinc_banking",
    "sgd_restaurants_multiturn",
    "squad_closed_book",
    "squad_open_book",
    "squad_rag_qa",
)

pytestmark = [
    pytest.mark.cases,
    pytest.mark.skipif(not CASES.is_dir(), reason="the data sets are not beside the checkout"),
]


def process(name: str, folder: Path) -> tuple[Traces, FilteredTraces, RelabelledTraces, set[str]]:
    """Every trace of a case as a seed, so that every line of the file is judged."""
    case = CASES / name
    with opened_project(folder, case, {}):
        job = open_job(case / "config.yaml", {"trace_processing": {"num_traces_as_training_base": 1000}})
        settings, length = job.config.trace_processing, job.max_total_length
        test = job.folder.test().examples
        with open_client(job.config, folder) as client:
            traces = ingest_traces(
                case / "traces.jsonl", job.task, settings, max_total_length=length, seed=42, held_out=test
            )
            filtered = filter_traces(traces, job.task, job.description, settings, client)
            relabelled = relabel_traces(filtered, job.task, settings, client, max_total_length=length)
    return traces, filtered, relabelled, {example.question.casefold() for example in test}


@pytest.fixture(scope="module")
def processed(tmp_path_factory):
    found: dict[str, tuple] = {}

    def of(name: str) -> tuple[Traces, FilteredTraces, RelabelledTraces, set[str]]:
        if name not in found:
            found[name] = process(name, tmp_path_factory.mktemp(name))
        return found[name]

    return of


def measured(name: str, processed) -> TraceFigures:
    return figures(read_gold(CASES / name), *processed(name)[:3])


@pytest.mark.parametrize("name", NAMES)
def test_no_line_is_lost(processed, name):
    traces, filtered, relabelled, _ = processed(name)
    assert len(traces.rows) + len(traces.set_aside) == traces.lines == len(read_gold(CASES / name))
    assert len(filtered.rows) == len(traces.rows)
    answered = {row.line for row in relabelled.rows} | {row.line for row in relabelled.dropped}
    assert answered == {row.line for row in filtered.rows if row.kept}


@pytest.mark.parametrize("name", NAMES)
def test_the_filter_finds_what_is_irrelevant_or_corrupted_and_keeps_what_is_clean(processed, name):
    gold = read_gold(CASES / name)
    filtered = processed(name)[1]
    clean = [row for row in filtered.rows if noise_of(gold[row.line]) == "clean"]
    assert len(clean) > 100
    assert measured(name, processed).filter_recall >= 0.95
    assert sum(row.kept for row in clean) >= 0.98 * len(clean)


@pytest.mark.parametrize("name", NAMES)
def test_every_relabelled_answer_is_right_where_the_question_is_intact(processed, name):
    found = measured(name, processed)
    assert found.relabelled > 100
    assert found.logged_right < 0.9
    assert found.wrong_lines == ()


@pytest.mark.parametrize("name", NAMES)
def test_users_words_are_untouched(processed, name):
    traces, _, relabelled, _ = processed(name)
    said = {trace.line: [m.content for m in trace.messages if m.role == "user"] for trace in traces.rows}
    for row in relabelled.rows:
        turns = [message.content for message in row.messages if message.role == "user"]
        assert all(any(turn in whole for whole in said[row.line]) for turn in turns)


def test_the_figures_as_a_table(processed, capsys):
    rows = [measured(name, processed).row(name) for name in NAMES]
    with capsys.disabled():
        print("", HEADER, *rows, sep="\n")
    assert len(rows) == len(NAMES)
