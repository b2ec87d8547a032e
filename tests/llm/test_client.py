from __future__ import annotations

import asyncio
import logging
import threading
import time

import pytest
from pydantic import BaseModel

from distil_dagster.errors import BudgetError, ProviderError
from distil_dagster.llm.asking import Counts
from distil_dagster.llm.client import Client, open_client
from distil_dagster.llm.journal import SqliteJournal
from distil_dagster.progress import Progress

PRICED = {"input_cost_per_token": 1e-3, "output_cost_per_token": 2e-3}
COST = 10 * 1e-3 + 5 * 2e-3


class Answer(BaseModel):
    answer: str


def texts(results):
    return [result.text for result in results]


def test_answers_come_in_the_order_of_the_requests(make_client, server, question, reply):
    server.behaviour = lambda number, body: reply(body["messages"][-1]["content"], seconds=0.03 / number)
    results = make_client().ask([question(str(number)) for number in range(20)], "answers")
    assert texts(results) == [str(number) for number in range(20)]


def test_nothing_asked_is_nothing_answered(make_client):
    assert make_client().ask([], "answers") == []


def test_equal_requests_are_sent_once(make_client, server, question):
    client = make_client()
    results = client.ask([question("a"), question("b"), question("a"), question("a")], "answers")
    assert texts(results) == ["echo a", "echo b", "echo a", "echo a"]
    assert [result.from_journal for result in results] == [False, False, True, True]
    assert server.questions == {"a": 1, "b": 1}
    assert client.counts("answers") == Counts(bought=2, from_journal=0)


def test_samples_of_one_request_are_sent_each(make_client, server, question):
    make_client().ask([question("a", sample=sample) for sample in range(3)], "answers")
    assert server.questions == {"a": 3}
    assert all("sample" not in body for body in server.bodies)


def test_what_the_journal_holds_is_not_bought_again_by_any_client_or_phase(make_client, server, question):
    first = make_client()
    bought = first.ask([question("a"), question("b")], "answers")
    first.close()
    second = make_client()
    found = second.ask([question("b"), question("a"), question("c")], "verdicts")
    assert texts(found) == ["echo b", "echo a", "echo c"]
    assert [result.from_journal for result in found] == [True, True, False]
    assert found[1].key == bought[0].key
    assert server.questions == {"a": 1, "b": 1, "c": 1}
    assert second.counts("verdicts") == Counts(bought=1, from_journal=2)


def test_found_answers_need_neither_a_key_nor_a_reachable_provider(make_client, make_route, server, question, dead_url):
    make_client().ask([question("a")], "answers")
    client = make_client(make_route(base_url=dead_url, api_key_env="NO_SUCH_KEY"))
    assert texts(client.ask([question("a")], "answers")) == ["echo a"]


def test_spend_is_told_by_phase(make_client, make_route, server, question):
    client = make_client(make_route(base_url=server.url, extra=PRICED))
    client.ask([question("a"), question("b")], "answers")
    client.ask([question("a"), question("c")], "verdicts")
    assert client.spent_usd("answers") == pytest.approx(2 * COST)
    assert client.spent_usd("verdicts") == pytest.approx(COST)
    assert client.spent_usd() == pytest.approx(3 * COST)
    assert client.spent_usd("nothing") == 0.0


def test_progress_counts_every_request(make_client, server, question, caplog):
    client = make_client()
    progress = Progress("answers", total=4, spend=lambda: client.spent_usd("answers"))
    with caplog.at_level(logging.INFO, logger="distil_dagster"):
        client.ask([question("a"), question("b"), question("a")], "answers", progress)
        client.ask([question("a")], "answers", progress)
    assert progress.done == 4
    assert "answers: 4/4 items" in caplog.text


def test_at_most_the_allowed_number_is_in_flight(make_client, server, question, reply):
    server.behaviour = lambda number, body: reply(seconds=0.01)
    make_client(parallel_requests=3).ask([question(str(number)) for number in range(30)], "answers")
    assert server.most_in_flight == 3


def test_a_client_works_where_an_event_loop_runs_already(make_client, server, question):
    async def run():
        return make_client().ask([question("a")], "answers")

    assert texts(asyncio.run(run())) == ["echo a"]


def test_threads_share_a_client(make_client, server, question):
    client = make_client()
    results = {}

    def ask(name):
        results[name] = texts(client.ask([question(f"{name}{number}") for number in range(10)], name))

    threads = [threading.Thread(target=ask, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {name: [f"echo {name}{number}" for number in range(10)] for name in "abc"}
    assert server.most_in_flight <= 4


# Structured answers


def test_a_structured_answer_is_parsed(make_client, server, question, reply):
    server.behaviour = lambda number, body: reply('```json\n{"answer": "yes"}\n```')
    [result] = make_client().ask([question("a", schema=Answer)], "answers")
    assert result.parsed == Answer(answer="yes")
    assert len(server.bodies) == 1


def test_an_invalid_answer_is_asked_for_once_more(make_client, make_route, server, question, reply):
    server.behaviour = lambda number, body: reply('{"reply": "yes"}' if number == 1 else '{"answer": "yes"}')
    client = make_client(make_route(base_url=server.url, extra=PRICED))
    [result] = client.ask([question("a", schema=Answer)], "answers")
    assert result.parsed == Answer(answer="yes")
    assert result.cost_usd == pytest.approx(2 * COST)
    first, second = server.bodies
    assert second["messages"][:1] == first["messages"]
    assert second["messages"][1] == {"role": "assistant", "content": '{"reply": "yes"}'}
    assert "answer: field required" in second["messages"][2]["content"]
    assert second["response_format"] == first["response_format"]


def test_an_answer_that_stays_invalid_fails_with_the_problem(make_client, server, question, reply):
    server.behaviour = lambda number, body: reply("no object")
    [result] = make_client().ask([question("a", schema=Answer)], "answers")
    assert result.reason == "invalid_answer"
    assert "no valid JSON object" in result.detail
    assert len(server.bodies) == 2


def test_a_repaired_answer_is_not_bought_again_either(make_client, server, question, reply):
    server.behaviour = lambda number, body: reply("no object" if number == 1 else '{"answer": "yes"}')
    make_client().ask([question("a", schema=Answer)], "answers")
    client = make_client()
    [result] = client.ask([question("a", schema=Answer)], "answers")
    assert result.parsed == Answer(answer="yes")
    assert result.from_journal
    assert len(server.bodies) == 2
    assert client.counts("answers") == Counts(bought=0, from_journal=2)


def test_a_cut_answer_is_named_so_and_neither_repaired_nor_bought_again(make_client, server, question, reply):
    server.behaviour = lambda number, body: reply('{"answer": "ye', finish_reason="length")
    for _ in range(2):
        [result] = make_client().ask([question("a", schema=Answer)], "answers")
        assert result.reason == "truncated"
    assert len(server.bodies) == 1


def test_broken_tool_arguments_are_asked_for_once_more(make_client, server, question, reply):
    def call(arguments):
        return {"tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}]}

    server.behaviour = lambda number, body: reply("", message=call("{broken" if number == 1 else '{"x": 1}'))
    [result] = make_client().ask([question("a")], "answers")
    assert result.tool_calls[0].arguments == {"x": 1}


def test_thinking_reaches_neither_the_answer_nor_the_journal(make_client, server, question, reply, tmp_path):
    message = {"reasoning_content": "my secret thoughts"}
    server.behaviour = lambda number, body: reply("<think>more secret thoughts</think>yes", message=message)
    client = make_client()
    assert texts(client.ask([question("a")], "answers")) == ["yes"]
    client.close()
    assert b"secret thoughts" not in journal_bytes(tmp_path)


def test_no_secret_and_no_address_is_in_the_journal(make_client, make_route, server, question, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-topsecret")
    extra = {"api_key": "sk-other", "extra_headers": {"X-Key": "sk-third"}}
    client = make_client(make_route(base_url=server.url, api_key_env="MY_KEY", extra=extra))
    client.ask([question("a")], "answers")
    for _ in range(2):
        stored = journal_bytes(tmp_path)
        assert b"echo a" in stored
        assert not any(secret in stored for secret in (b"sk-", b"127.0.0.1", str(server.port).encode(), b"MY_KEY"))
        client.close()


def journal_bytes(folder):
    return b"".join(path.read_bytes() for path in folder.glob("journal.sqlite*"))


# Failures


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_what_may_pass_is_tried_again(make_client, server, question, reply, status):
    server.behaviour = lambda number, body: reply(status=status) if number <= 2 else reply()
    assert texts(make_client().ask([question("a")], "answers")) == ["fine"]
    assert len(server.bodies) == 3


def test_a_garbled_response_is_tried_again(make_client, server, question, reply):
    server.behaviour = lambda number, body: reply(raw="<html>") if number == 1 else reply()
    assert texts(make_client().ask([question("a")], "answers")) == ["fine"]


def test_retry_after_is_obeyed_by_the_whole_route(make_client, server, question, reply):
    pause, seen = 0.4, []
    clock = asyncio.new_event_loop().time

    def behaviour(number, body):
        seen.append(clock())
        return reply(status=429, headers={"Retry-After": str(pause)}) if number == 1 else reply(seconds=0.05)

    server.behaviour = behaviour
    make_client(parallel_requests=1).ask([question(str(number)) for number in range(4)], "answers")
    assert len(seen) == 5
    assert seen[1] - seen[0] >= pause - 0.01


def test_a_storm_of_refusals_ends_with_every_answer(make_client, server, question, reply):
    def behaviour(number, body):
        return reply(seconds=0.005) if server.in_flight <= 3 else reply(status=429, headers={"Retry-After": "0.01"})

    server.behaviour = behaviour
    results = make_client(parallel_requests=16).ask([question(str(number)) for number in range(100)], "answers")
    assert texts(results) == ["fine"] * 100


def test_a_bad_request_fails_alone_and_at_once(make_client, server, question, reply):
    def behaviour(number, body):
        return reply(status=400, text="too long") if body["messages"][-1]["content"] == "long" else reply()

    server.behaviour = behaviour
    results = make_client().ask([question("a"), question("long"), question("b")], "answers")
    assert results[1].reason == "provider_error"
    assert "too long" in results[1].detail
    assert [result.text for result in (results[0], results[2])] == ["fine", "fine"]
    assert server.questions["long"] == 1


def test_refused_content_is_named_so(make_client, server, question, reply):
    server.behaviour = lambda number, body: reply(status=400, text="content_policy_violation")
    [result] = make_client().ask([question("a")], "answers")
    assert result.reason == "refused_by_provider"


def test_failures_are_not_kept(make_client, server, question, reply):
    server.behaviour = lambda number, body: reply(status=400) if number == 1 else reply()
    [failed] = make_client().ask([question("a")], "answers")
    [answered] = make_client().ask([question("a")], "answers")
    assert failed.reason == "provider_error"
    assert answered.text == "fine"


def test_a_hanging_request_fails_with_a_timeout(make_client, server, question, reply, make_patience):
    server.behaviour = lambda number, body: reply(seconds=30) if body["messages"][-1]["content"] == "h" else reply()
    client = make_client(patience=make_patience(attempt_seconds=0.15, attempts=2))
    results = client.ask([question("h"), question("a")], "answers")
    assert results[0].reason == "timeout"
    assert results[1].text == "fine"
    assert server.questions["h"] == 2


def test_a_request_is_given_up_when_the_next_attempt_would_be_past_its_deadline(
    make_client, server, question, reply, make_patience
):
    server.behaviour = lambda number, body: reply(status=500)
    patience = make_patience(deadline_seconds=5.0, first_delay=60.0, longest_delay=60.0)
    [result] = make_client(patience=patience).ask([question("a")], "answers")
    assert result.reason == "provider_error"
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "environment variable OPENAI_API_KEY"), (404, "model's name and the base URL"), (402, "paid")],
)
def test_a_denied_route_stops_the_run_at_once(make_client, server, question, reply, status, words):
    server.behaviour = lambda number, body: reply(status=status, text="no")
    with pytest.raises(ProviderError, match=rf"teacher \(route openai/teacher at http.*status {status}: no.*{words}"):
        make_client(parallel_requests=2).ask([question(str(number)) for number in range(50)], "answers")
    assert len(server.bodies) <= 4


@pytest.mark.parametrize("count", [1, 50])
def test_an_unreachable_provider_stops_the_run(make_client, make_route, question, dead_url, count):
    with pytest.raises(ProviderError, match=r"cannot be reached.*Everything bought so far is kept"):
        make_client(make_route(base_url=dead_url)).ask([question(str(number)) for number in range(count)], "answers")


def test_a_provider_that_breaks_for_good_stops_the_run_and_what_was_bought_is_kept(
    make_client, server, question, reply
):
    requests = [question(str(number)) for number in range(60)]
    server.behaviour = lambda number, body: reply() if number <= 20 else reply(status=500, text="oops")
    with pytest.raises(ProviderError, match=r"in a row; the last one: status 500: oops. Everything bought so far is k"):
        make_client().ask(requests, "answers")
    assert len(server.bodies) < 60
    server.bodies.clear()
    server.behaviour = lambda number, body: reply()
    assert texts(make_client().ask(requests, "answers")) == ["fine"] * 60
    assert len(server.bodies) == 40


def test_a_client_may_be_asked_again_after_its_provider_came_back(make_client, server, question, reply):
    client = make_client()
    server.behaviour = lambda number, body: reply(status=401)
    with pytest.raises(ProviderError):
        client.ask([question("a")], "answers")
    server.behaviour = lambda number, body: reply()
    assert texts(client.ask([question("a")], "answers")) == ["fine"]


def test_a_pause_longer_than_every_deadline_stops_the_run(make_client, server, question, reply):
    server.behaviour = lambda number, body: reply(status=429, headers={"Retry-After": "86400"})
    with pytest.raises(ProviderError, match="asks to be left alone for 86400 s"):
        make_client().ask([question("a")], "answers")


def test_one_poisoned_request_does_not_stop_the_others(make_client, server, question, reply):
    def behaviour(number, body):
        return reply(status=500) if body["messages"][-1]["content"] == "7" else reply()

    server.behaviour = behaviour
    results = make_client().ask([question(str(number)) for number in range(30)], "answers")
    assert [number for number, result in enumerate(results) if not hasattr(result, "text")] == [7]


# Budget


def test_the_budget_stops_the_run_and_what_was_bought_is_kept(make_client, make_route, server, question):
    route = make_route(base_url=server.url, extra=PRICED)
    requests = [question(str(number), max_tokens=10) for number in range(50)]
    client = make_client(route, budget_usd=0.5)
    with pytest.raises(BudgetError, match="kept"):
        client.ask(requests, "answers")
    assert client.spent_usd() <= 0.5
    bought = client.counts("answers").bought
    assert bought == len(server.bodies) > 3
    again = make_client(route)
    again.ask(requests, "answers")
    assert again.counts("answers") == Counts(bought=50 - bought, from_journal=bought)


def test_the_budget_counts_what_earlier_clients_spent(make_client, make_route, server, question):
    route = make_route(base_url=server.url, extra=PRICED)
    make_client(route).ask([question(str(number), max_tokens=10) for number in range(20)], "answers")
    with pytest.raises(BudgetError, match=r"0\.4000 is spent"):
        make_client(route, budget_usd=0.41).ask([question("new", max_tokens=10)], "answers")


def test_the_budget_counts_what_another_client_spends_at_the_same_time(make_client, make_route, server, question):
    route = make_route(base_url=server.url, extra=PRICED)
    ours, other = make_client(route, budget_usd=0.5), make_client(route)
    ours.ask([question("first", max_tokens=10)], "answers")
    other.ask([question(str(number), max_tokens=10) for number in range(30)], "answers")
    time.sleep(2.1)
    with pytest.raises(BudgetError, match=r"0\.6200 is spent"):
        ours.ask([question("second", max_tokens=10)], "answers")


def test_found_answers_cost_no_budget(make_client, make_route, server, question):
    route = make_route(base_url=server.url, extra=PRICED)
    make_client(route).ask([question("a")], "answers")
    assert texts(make_client(route, budget_usd=0.0).ask([question("a")], "answers")) == ["echo a"]


# Opening


def test_a_client_is_closed_at_the_end_of_its_block(server, make_route, question, tmp_path):
    before = threading.active_count()
    with Client(SqliteJournal(tmp_path / "j.sqlite"), lambda name: make_route(base_url=server.url), 2) as client:
        client.ask([question("a")], "answers")
    assert threading.active_count() == before


def test_a_client_is_opened_for_a_configuration(server, question, tmp_path):
    from distil_dagster.config.pipeline import PipelineConfig

    config = PipelineConfig.model_validate(
        {
            "base": {"task": "classification", "llm_num_parallel_requests": 2},
            "data": {"models": {"*": {"model": "openai/{name}", "base_url": server.url}}},
        }
    )
    with open_client(config, tmp_path / "deep") as client:
        assert texts(client.ask([question("a")], "answers")) == ["echo a"]
    assert server.bodies[0]["model"] == "teacher"
    assert (tmp_path / "deep" / "journal.sqlite").exists()
