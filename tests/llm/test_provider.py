from __future__ import annotations

import asyncio
import logging
import subprocess
import sys

import pytest
from pydantic import BaseModel

from distil_dagster.errors import ProviderError
from distil_dagster.llm.answers import RawAnswer
from distil_dagster.llm.outcomes import Denied, Refusal, Rejection, Trouble
from distil_dagster.llm.provider import Price, Provider, explain_denial
from distil_dagster.llm.requests import Usage, request_body

PRICED = {"input_cost_per_token": 1e-3, "output_cost_per_token": 2e-3}


class Answer(BaseModel):
    answer: str


@pytest.fixture
def send(server, make_route):
    """Send one request over a route of the server and give back what came of it."""

    def send_one(request, seconds=5.0, times=1, **route):
        async def run():
            provider = Provider()
            made = make_route(**({"base_url": server.url} | route))
            try:
                outcomes = [await provider.send(request_body(request, made), made, seconds) for _ in range(times)]
            finally:
                await provider.close()
            return outcomes[-1]

        return asyncio.run(run())

    return send_one


def test_a_request_is_sent_as_the_protocol_wants_it(send, server, question):
    request = question("Why?", schema=Answer, schema_name="answer", temperature=0.7, max_tokens=64, sample=3)
    answer = send(request, extra={"top_k": 5, "reasoning_effort": "low"})
    assert answer == RawAnswer("echo Why?", (), "stop", Usage(10, 5), None)
    [body] = server.bodies
    assert body.pop("response_format")["json_schema"]["name"] == "answer"
    assert body == {
        "model": "teacher",
        "messages": [{"role": "user", "content": "Why?"}],
        "temperature": 0.7,
        "max_tokens": 64,
        "top_k": 5,
        "reasoning_effort": "low",
    }


def test_tools_are_sent(send, server, question):
    tool = {"type": "function", "function": {"name": "search", "parameters": {"type": "object", "properties": {}}}}
    send(question("Why?", tools=(tool,)))
    assert server.bodies[0]["tools"] == [tool]


def test_parameters_that_a_model_calls_otherwise_are_renamed_and_those_it_has_not_are_dropped(send, server, question):
    send(question("Why?", temperature=0.7, max_tokens=64), model="openai/gpt-5-mini")
    assert server.bodies[0]["max_completion_tokens"] == 64
    assert "max_tokens" not in server.bodies[0]
    assert "temperature" not in server.bodies[0]


@pytest.mark.parametrize("provider", ["novita", "openai", "deepseek"])
def test_parameters_that_the_route_itself_asks_for_are_never_dropped(send, server, question, provider, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-123")
    extra = {"reasoning_effort": "medium", "enable_thinking": False}
    send(question("Why?"), model=f"{provider}/gpt-oss-120b", api_key_env="MY_KEY", extra=extra)
    assert server.bodies[0]["reasoning_effort"] == "medium"
    assert server.bodies[0]["enable_thinking"] is False


def test_the_key_in_the_named_variable_is_sent(send, server, question, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-123")
    send(question("Why?"), api_key_env="MY_KEY", extra={"extra_headers": {"X-Team": "blue"}})
    assert server.headers[0]["Authorization"] == "Bearer sk-123"
    assert server.headers[0]["X-Team"] == "blue"
    assert "extra_headers" not in server.bodies[0]


def test_headers_whose_values_stand_in_variables_are_sent_and_never_repeated(
    send, server, question, reply, monkeypatch
):
    monkeypatch.setenv("GATEWAY", "sk-gateway")
    headers = {"X-Team": "blue", "X-Api-Key": {"env": "GATEWAY"}}
    server.behaviour = lambda number, body: reply(status=400, text="key sk-gateway is not known")
    outcome = send(question("Why?"), extra={"extra_headers": headers})
    assert (server.headers[0]["X-Team"], server.headers[0]["X-Api-Key"]) == ("blue", "sk-gateway")
    assert "sk-gateway" not in outcome.detail
    assert "***" in outcome.detail


def test_a_variable_of_a_header_that_is_not_set_is_an_error_before_anything_is_sent(send, server, question):
    with pytest.raises(ProviderError, match="NO_SUCH_KEY, which a route's `extra` names, is not set"):
        send(question("Why?"), extra={"extra_headers": {"X-Api-Key": {"env": "NO_SUCH_KEY"}}})
    assert server.bodies == []


def test_the_usual_key_of_a_provider_is_not_sent_to_another_address(send, server, question, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    send(question("Why?"))
    assert "Authorization" not in server.headers[0]


def test_a_named_variable_that_is_not_set_is_an_error_before_anything_is_sent(send, server, question):
    with pytest.raises(ProviderError, match=r"openai/teacher: the environment variable NO_SUCH_KEY .* is not set"):
        send(question("Why?"), api_key_env="NO_SUCH_KEY")
    assert server.bodies == []


def test_an_unknown_provider_is_an_error_that_shows_what_would_be_right(send, question):
    with pytest.raises(ProviderError, match=r"nowhere/teacher: no provider is known .* such as openai/"):
        send(question("Why?"), model="nowhere/{name}")


def test_a_known_price_is_counted(send, question):
    answer = send(question("Why?"), model="openai/gpt-4o-mini")
    assert answer.cost_usd == pytest.approx(10 * 0.15e-6 + 5 * 0.6e-6)


def test_a_price_can_be_given(send, server, question):
    assert send(question("Why?"), extra=PRICED).cost_usd == pytest.approx(10 * 1e-3 + 5 * 2e-3)
    assert "input_cost_per_token" not in server.bodies[0]


def test_an_unknown_price_is_said_once(send, question, caplog):
    with caplog.at_level(logging.WARNING):
        assert send(question("Why?"), times=3).cost_usd is None
    assert caplog.text.count("the price of openai/teacher is not known") == 1


def test_cached_tokens_have_their_own_price():
    assert Price(prompt=1.0, completion=10.0, cached=0.1).of(Usage(100, 2, 40)) == pytest.approx(60 + 20 + 4)


def test_the_worst_case_of_a_request_is_a_full_answer(make_route, server, question):
    route = make_route(base_url=server.url, extra=PRICED)
    body = request_body(question("Why?", max_tokens=50), route)
    assert Provider().worst_case_usd(body, 400, route) == pytest.approx(400 * 1e-3 + 50 * 2e-3)
    assert Provider().worst_case_usd(request_body(question("Why?"), route), 400, route) > 400 * 1e-3 + 1000 * 2e-3
    assert Provider().worst_case_usd(body, 400, make_route()) == 0.0


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({"status": 429, "text": "slow", "headers": {"Retry-After": "7"}}, Refusal("status 429: slow", 7.0)),
        ({"status": 500, "text": "oops"}, Trouble("server", "status 500: oops")),
        ({"status": 400, "text": "too long"}, Rejection("provider_error", "status 400: too long")),
        ({"status": 401, "text": "who?"}, Denied(401, "status 401: who?")),
    ],
)
def test_errors_become_outcomes(send, server, question, reply, fields, outcome):
    server.behaviour = lambda number, body: reply(**fields)
    assert send(question("Why?")) == outcome


@pytest.mark.parametrize("raw", ["", "<html>", "{}", '{"choices": []}', "[" * 50_000])
def test_a_response_that_is_no_completion_is_trouble_of_the_server(send, server, question, reply, raw):
    server.behaviour = lambda number, body: reply(raw=raw)
    outcome = send(question("Why?"))
    assert isinstance(outcome, Trouble)
    assert outcome.kind == "server"


def test_a_hanging_server_is_a_timeout(send, server, question, reply):
    server.behaviour = lambda number, body: reply(seconds=30)
    assert send(question("Why?"), seconds=0.1) == Trouble("timeout", "no answer within 0.1 s")


def test_a_closed_port_is_unreachable(send, question, dead_url):
    outcome = send(question("Why?"), base_url=dead_url)
    assert isinstance(outcome, Trouble)
    assert outcome.kind == "unreachable"


def test_a_key_that_a_provider_repeats_in_its_error_is_taken_out(send, server, question, reply, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-123")
    server.behaviour = lambda number, body: reply(status=400, text="bad key sk-123")
    assert send(question("Why?"), api_key_env="MY_KEY").detail == "status 400: bad key ***"


def test_a_schema_that_is_not_taken_is_described_in_words_from_then_on(send, server, question, reply):
    def behaviour(number, body):
        return reply(status=400, text="response_format unavailable") if "response_format" in body else reply("{}")

    server.behaviour = behaviour
    assert send(question("Why?", schema=Answer), times=3).text == "{}"
    assert ["response_format" in body for body in server.bodies] == [True, False, False, False]
    assert "JSON schema" in server.bodies[-1]["messages"][0]["content"]


def test_other_providers_are_asked_through_litellm(send, server, question, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-123")
    request = question("Why?", schema=Answer, temperature=0.7)
    answer = send(request, model="deepseek/{name}", api_key_env="MY_KEY", extra=PRICED)
    assert answer == RawAnswer("echo Why?", (), "stop", Usage(10, 5), pytest.approx(0.02))
    assert server.headers[0]["Authorization"] == "Bearer sk-123"
    assert server.bodies[0]["temperature"] == 0.7
    assert "input_cost_per_token" not in server.bodies[0]


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"status": 429, "headers": {"Retry-After": "7"}}, Refusal),
        ({"status": 500}, Trouble),
        ({"status": 400}, Rejection),
        ({"status": 401}, Denied),
        ({"status": 404}, Denied),
    ],
)
def test_errors_of_litellm_become_the_same_outcomes(send, server, question, reply, monkeypatch, fields, kind):
    monkeypatch.setenv("MY_KEY", "sk-123")
    server.behaviour = lambda number, body: reply(**fields)
    outcome = send(question("Why?"), model="deepseek/{name}", api_key_env="MY_KEY")
    assert isinstance(outcome, kind)
    assert len(server.bodies) == 1
    if isinstance(outcome, Refusal):
        assert outcome.retry_after == 7.0


def test_a_timeout_of_litellm_is_a_timeout(send, server, question, reply, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-123")
    server.behaviour = lambda number, body: reply(seconds=30)
    outcome = send(question("Why?"), seconds=0.2, model="deepseek/{name}", api_key_env="MY_KEY")
    assert isinstance(outcome, Trouble)
    assert outcome.kind == "timeout"


@pytest.mark.parametrize(
    ("status", "advice"),
    [(401, "environment variable MY_KEY"), (404, "the model's name and the base URL"), (429, "quota is used up")],
)
def test_a_denied_route_is_explained(make_route, status, advice):
    route = make_route(base_url="http://x/v1", api_key_env="MY_KEY")
    text = str(explain_denial("teacher", "openai/teacher", route, Denied(status, f"status {status}: no")))
    assert text.startswith(f"teacher (route openai/teacher at http://x/v1): status {status}: no: ")
    assert advice in text


def test_importing_the_request_layer_imports_no_heavy_library():
    program = "import sys, distil_dagster.llm; print({'litellm', 'aiohttp', 'dagster', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
