from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from distil_dagster.llm.requests import Request, canonical_json, is_connection_setting, request_body, request_key


class Answer(BaseModel):
    answer: str


class OtherAnswer(BaseModel):
    answer: str
    reason: str


TOOL = {"type": "function", "function": {"name": "search", "parameters": {"type": "object", "properties": {}}}}
REQUEST = Request(
    model="teacher",
    messages=({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}),
    schema=Answer,
    schema_name="answer",
    tools=(TOOL,),
    temperature=0.7,
    max_tokens=100,
    sample=0,
)


def key_of(request, route):
    return request_key(canonical_json(request_body(request, route)))


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"messages": ({"role": "system", "content": "Be long."}, {"role": "user", "content": "Why?"})},
        {"messages": ({"role": "user", "content": "Why?"}, {"role": "system", "content": "Be brief."})},
        {"schema": OtherAnswer},
        {"schema": None},
        {"schema_name": "reply"},
        {"tools": ()},
        {"temperature": 0.6},
        {"temperature": None},
        {"max_tokens": 101},
        {"max_tokens": None},
        {"sample": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_field_of_a_request_changes_its_key(change, make_route):
    assert key_of(replace(REQUEST, **change), make_route()) != key_of(REQUEST, make_route())


@pytest.mark.parametrize("extra", [{"top_p": 0.9}, {"reasoning_effort": "high"}, {"chat_template_kwargs": {"a": 1}}])
def test_every_extra_parameter_of_the_route_changes_the_key(extra, make_route):
    assert key_of(REQUEST, make_route(extra=extra)) != key_of(REQUEST, make_route())


@pytest.mark.parametrize(
    "route",
    [
        {"base_url": "http://127.0.0.1:8123/v1"},
        {"api_key_env": "MY_KEY"},
        {"extra": {"api_key": "sk-secret"}},
        {"extra": {"aws_region_name": "eu-central-1"}},
        {"extra": {"extra_headers": {"X-Key": "secret"}}},
        {"extra": {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}},
    ],
    ids=str,
)
def test_how_a_provider_is_reached_and_paid_does_not_change_the_key(route, make_route):
    assert key_of(REQUEST, make_route(**route)) == key_of(REQUEST, make_route())


def test_the_key_is_the_same_in_every_version_of_this_code(make_route):
    request = Request(model="teacher", messages=({"role": "user", "content": "Why?"},), temperature=0.5)
    assert request_body(request, make_route()) == {
        "model": "openai/teacher",
        "messages": [{"role": "user", "content": "Why?"}],
        "temperature": 0.5,
        "sample": 0,
    }
    assert key_of(request, make_route()) == "2724b768ed6778c7718e82c3213bbc7d9753c1807f37927979066421d1cd509b"


def test_the_body_names_the_resolved_model(make_route):
    assert request_body(REQUEST, make_route(model="openrouter/vendor/{name}"))["model"] == "openrouter/vendor/teacher"
    assert request_body(REQUEST, make_route(model="openai/gpt-4.1"))["model"] == "openai/gpt-4.1"


def test_the_parameters_of_the_route_are_laid_over_those_of_the_request(make_route):
    assert request_body(REQUEST, make_route(extra={"temperature": 1.0}))["temperature"] == 1.0


def test_the_schema_is_sent_with_its_name(make_route):
    schema = request_body(REQUEST, make_route())["response_format"]
    assert schema["type"] == "json_schema"
    assert schema["json_schema"]["name"] == "answer"
    assert schema["json_schema"]["strict"] is True


@pytest.mark.parametrize("name", ["api_key", "key", "aws_secret_access_key", "client_secret", "hf_token", "password"])
def test_names_of_secrets_are_recognised(name):
    assert is_connection_setting(name)


@pytest.mark.parametrize("name", ["max_tokens", "top_k", "seed", "reasoning_effort", "max_completion_tokens"])
def test_names_of_sampling_parameters_are_not_taken_for_secrets(name):
    assert not is_connection_setting(name)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters()),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=5), json_values, max_size=5))
def test_canonical_json_is_ascii_and_does_not_depend_on_the_order_of_keys(value):
    text = canonical_json(value)
    assert text.isascii()
    assert json.loads(text) == value
    assert canonical_json(dict(reversed(value.items()))) == text
