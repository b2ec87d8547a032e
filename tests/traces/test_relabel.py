import pytest

from distil_dagster.config.sections import TraceProcessing
from distil_dagster.data.messages import Message
from distil_dagster.errors import DataError
from distil_dagster.llm.requests import Failed
from distil_dagster.traces.minimum import require_minimum, seed_counts
from distil_dagster.traces.relabel import relabel_traces
from distil_dagster.traces.relevance import FilteredTraces, ScoredTrace

COMMITTEE = ["openai.gpt-oss-20b", "deepseek.v3.1"]


def filtered(*pairs, part="train", kept=True):
    return FilteredTraces(
        [
            ScoredTrace(
                part=part,
                file="traces.jsonl",
                line=number,
                kept=kept,
                messages=(Message(role="user", content=q), Message(role="assistant", content=a)),
            )
            for number, (q, a) in enumerate(pairs, start=1)
        ]
    )


@pytest.fixture
def run(task, scripted):
    def relabelled(found, script, **settings):
        client = scripted(script)
        return relabel_traces(found, task, TraceProcessing(**settings), client, max_total_length=100), client

    return relabelled


def votes(**by_model):
    def script(request):
        if request.schema_name == "answer":
            return {"answer": by_model[request.model.split(".")[0]]}
        return {"answer": "garden", "reason": "plants"}

    return script


def test_an_empty_committee_leaves_the_answer_to_the_trace_teacher(run):
    result, client = run(filtered(("q", "parcels")), lambda _: {"answer": "bills"})
    (row,) = result.rows
    assert (row.answer, row.logged_answer, row.decided_by) == ("bills", "parcels", "single")
    assert [request.model for request in client.asked] == ["zai.glm-5"]


def test_a_unanimous_committee_needs_no_aggregator(run):
    result, client = run(
        filtered(("q", "parcels")), votes(openai="bills", deepseek="bills"), relabelling_committee_models=COMMITTEE
    )
    assert (result.rows[0].answer, result.rows[0].decided_by, len(client.asked)) == ("bills", "unanimous", 2)


def test_the_trace_teacher_decides_between_different_votes_and_sees_the_logged_answer(run):
    result, client = run(
        filtered(("q", "logged one")), votes(openai="bills", deepseek="parcels"), relabelling_committee_models=COMMITTEE
    )
    (row,) = result.rows
    assert (row.answer, row.decided_by, row.aggregator_answer, row.aggregator_reason) == (
        "garden",
        "aggregator",
        "garden",
        "plants",
    )
    assert [(vote.model, vote.answer) for vote in row.votes] == list(zip(COMMITTEE, ["bills", "parcels"], strict=True))
    prompt = client.asked[-1].messages[0]["content"]
    assert "<logged_answer>\nlogged one\n" in prompt
    assert '<candidate id="2">\nparcels' in prompt
    assert client.asked[-1].model == "zai.glm-5"


def test_a_vote_that_failed_is_kept_with_its_reason_and_the_others_count(run):
    def script(request):
        return Failed("timeout", "too slow", "k") if request.model.startswith("openai") else {"answer": "bills"}

    result, _ = run(filtered(("q", "parcels")), script, relabelling_committee_models=COMMITTEE)
    (row,) = result.rows
    assert row.answer == "bills"
    assert row.votes[0].problem == "timeout: too slow"


def test_with_relabelling_off_logged_answers_stay_and_nothing_is_bought(run):
    result, client = run(filtered(("q", " Bills ")), None, relabel=False)
    assert (result.rows[0].answer, result.rows[0].decided_by) == ("bills", "log")
    assert client.asked == []


def test_an_invalid_logged_answer_is_repaired_once(run):
    result, client = run(filtered(("q", "The right desk is bills.")), lambda _: {"answer": "bills"}, relabel=False)
    assert (result.rows[0].answer, result.rows[0].decided_by) == ("bills", "repair")
    assert [request.schema_name for request in client.asked] == ["repaired_answer"]
    assert "The right desk is bills." in client.asked[0].messages[0]["content"]


def test_what_cannot_be_repaired_is_dropped_with_the_reason(run):
    result, _ = run(filtered(("q", "nonsense")), lambda _: Failed("invalid_answer", "no", "k"), relabel=False)
    assert result.rows == []
    assert (result.dropped[0].line, result.dropped[0].reason) == (1, "invalid_answer")
    assert "not_a_class" in result.dropped[0].detail


def test_dropped_traces_are_not_relabelled(run):
    result, client = run(filtered(("q", "bills"), kept=False), None)
    assert result.rows == [] == client.asked


def test_too_few_examples_are_an_error_that_says_where_they_were_lost(run):
    found = filtered(("q", "bills"), ("r", "bills"))
    result, _ = run(found, lambda _: {"answer": "bills"})
    require_minimum(result, seed_counts(found), 2)
    with pytest.raises(
        DataError,
        match=r"made 2 train examples, fewer than .* = 3: 2 drawn, 2 kept by the relevance filter, 2 labelled",
    ):
        require_minimum(result, seed_counts(found), 3)


def test_an_example_for_training_carries_the_final_answer_and_its_origin(run):
    result, _ = run(filtered(("q", "parcels")), lambda _: {"answer": "bills"})
    example = result.rows[0].as_example()
    assert (example.question, example.answer, example.logged_answers, example.source) == (
        "q",
        "bills",
        ("parcels",),
        "traces.jsonl:1",
    )
    assert example.request_keys


def test_conversations_kept_whole_are_relabelled_at_their_end_with_the_history_shown(run):
    turns = [("user", "one"), ("assistant", "bills"), ("user", "two"), ("assistant", "parcels")]
    found = filtered(("x", "y"))
    messages = tuple(Message(role=role, content=text) for role, text in turns)
    found = FilteredTraces([found.rows[0].model_copy(update={"messages": messages})])
    result, client = run(found, lambda _: {"answer": "garden"}, convert_to_single_turn=False)
    (row,) = result.rows
    assert [message.content for message in row.messages] == ["one", "bills", "two", "garden"]
    assert [message["content"] for message in client.asked[0].messages[1:]] == ["one", "bills", "two"]
