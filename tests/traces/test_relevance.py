import json
import re

import pytest

from distil_dagster.config.sections import TraceProcessing
from distil_dagster.data.messages import Message
from distil_dagster.llm.requests import Failed
from distil_dagster.traces.ingest import SplitTrace, Traces
from distil_dagster.traces.relevance import filter_traces


def traces(*questions, part="train"):
    rows = [
        SplitTrace(
            part=part,
            file="traces.jsonl",
            line=number,
            messages=(Message(role="user", content=q), Message(role="assistant", content="bills")),
        )
        for number, q in enumerate(questions, start=1)
    ]
    return Traces(rows, [], len(rows))


def score_by_text(request):
    """Scores that the questions themselves name: "5/2" has relevance 5 and coherence 2."""
    blocks = re.findall(r'<trace id="(\d+)">\n(.*?)\n</trace>', request.messages[0]["content"], re.DOTALL)
    scores = []
    for id_, content in blocks:
        question = json.loads(content)[0]["content"]
        if question != "unscored":
            relevance, coherence = map(int, question.split("/"))
            scores.append({"id": int(id_), "relevance": relevance, "coherence": coherence, "reason": "so"})
    return {"scores": scores}


@pytest.fixture
def run(task, job, scripted):
    def filtered(found, script=score_by_text, **settings):
        client = scripted(script)
        return filter_traces(found, task, job, TraceProcessing(**settings), client), client

    return filtered


def test_low_scores_are_dropped_with_the_reason_and_the_rest_is_kept(run):
    filtered, _ = run(traces("5/5", "3/5", "5/2", "1/1", "4/3"))
    assert [(row.kept, row.reason) for row in filtered.rows] == [
        (True, ""),
        (False, "irrelevant"),
        (False, "incoherent"),
        (False, "irrelevant"),
        (True, ""),
    ]
    assert filtered.rows[1].explanation == "so"


def test_thresholds_are_those_of_the_settings(run):
    filtered, _ = run(traces("3/5", "5/2"), min_relevance_score=3, min_coherence_score=2)
    assert all(row.kept for row in filtered.rows)


def test_traces_are_scored_in_batches(run):
    _, client = run(traces(*["5/5"] * 7), relevance_filtering_batch_size=3)
    assert [request.messages[0]["content"].count("<trace id=") for request in client.asked] == [3, 3, 1]


def test_unstructured_traces_cost_nothing(run):
    filtered, client = run(traces("5/5", part="unstructured"))
    assert filtered.rows == [] == client.asked


def test_with_the_filter_off_every_seed_goes_on_unscored(run):
    filtered, client = run(traces("1/1"), relevance_filtering=False)
    assert filtered.rows[0].kept
    assert client.asked == []
    assert "off" in filtered.note


def test_a_trace_that_is_never_scored_is_dropped_with_the_reason_and_the_others_are_not(run):
    filtered, _ = run(traces("5/5", "unscored", "5/5", "5/5"))
    assert [row.reason for row in filtered.rows] == ["", "not_scored", "", ""]


def test_a_batch_that_fails_is_halved(run):
    def only_small_batches(request):
        if request.messages[0]["content"].count("<trace id=") > 1:
            return Failed("truncated", "too long", "key")
        return score_by_text(request)

    filtered, _ = run(traces("5/5", "1/5", "5/5"), only_small_batches)
    assert [row.kept for row in filtered.rows] == [True, False, True]


def test_the_job_description_is_compressed_once_and_only_for_scoring(run):
    def script(request):
        return (
            {"task_description": "short"}
            if request.schema_name == "compressed_job_description"
            else score_by_text(request)
        )

    _, client = run(traces(*["5/5"] * 4), script, compress_job_description=True, relevance_filtering_batch_size=2)
    assert [request.schema_name for request in client.asked] == [
        "compressed_job_description",
        "trace_scores",
        "trace_scores",
    ]
    assert "<job>\nshort" in client.asked[1].messages[0]["content"]


def test_the_trace_teacher_is_asked(run):
    _, client = run(traces("5/5"), teacher_model_name="deepseek.v3.1")
    assert {request.model for request in client.asked} == {"deepseek.v3.1"}
