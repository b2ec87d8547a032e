import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulator.invented import WORKSHOP_TOOLS, price, repair, say

from distil_dagster.simulator.request_writer import RequestWriter, made_up, texts_in

KNOWN = [repair("chain", "Monday"), price("bell", count=2), say("Hello.")]


@pytest.fixture(scope="module")
def writer():
    return RequestWriter(WORKSHOP_TOOLS, KNOWN)


def tool(**properties):
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": "do", "description": "", "parameters": parameters}}


@given(st.sampled_from(["book_repair", "quote_price", "rent_bicycle", "say"]), st.integers())
def test_every_composed_call_is_valid_and_its_request_names_every_argument(name, seed):
    writer, random = RequestWriter(WORKSHOP_TOOLS, KNOWN), Random(seed)
    call = writer.call(name, random)
    request = writer.request(call, random)
    assert call["name"] == name
    assert writer.is_valid(call)
    for value in call["parameters"].values():
        assert (value if isinstance(value, str) else json.dumps(value)) in request


def test_arguments_are_those_of_known_calls_where_there_are_any(writer):
    made = [writer.call("book_repair", Random(seed))["parameters"] for seed in range(40)]
    assert {arguments["part"] for arguments in made} == {"chain"}
    assert {arguments["day"] for arguments in made} == {"Monday", "Tuesday", "Friday"}


def test_optional_arguments_are_sometimes_left_out(writer):
    assert {"count" in writer.call("quote_price", Random(seed))["parameters"] for seed in range(20)} == {True, False}


def test_requests_of_one_call_are_worded_in_many_ways(writer):
    call = {"name": "rent_bicycle", "parameters": {"kind": "city", "days": 3}}
    assert len({writer.request(call, Random(seed)) for seed in range(100)}) > 90


@given(st.sampled_from([*KNOWN, {"name": "rent_bicycle", "parameters": {"kind": "city", "days": 3}}]), st.integers())
def test_another_call_is_wrong_and_valid(right, seed):
    writer = RequestWriter(WORKSHOP_TOOLS, KNOWN)
    other = writer.other_call(right, KNOWN, Random(seed))
    assert other != right
    assert writer.is_valid(other)


def test_another_call_has_another_tool_or_another_argument(writer):
    others = [writer.other_call(repair("chain", "Monday"), KNOWN, Random(seed)) for seed in range(60)]
    same_tool = [call for call in others if call["name"] == "book_repair"]
    assert 15 < len(same_tool) < 45
    assert {call["name"] for call in others} == {"book_repair", "quote_price", "rent_bicycle", "say"}


def test_a_call_that_nothing_else_can_replace_is_emptied():
    writer = RequestWriter([tool(mode={"const": 1})], [])
    assert writer.other_call({"name": "do", "parameters": {"mode": 1}}, [], Random(1))["parameters"] == {}


def test_a_tool_without_description_is_asked_for_by_name():
    assert "do" in RequestWriter([tool()], []).request({"name": "do", "parameters": {}}, Random(1))


SCHEMAS = [
    {"type": "string"},
    {"type": "string", "format": "date"},
    {"type": "string", "format": "date-time"},
    {"type": "string", "minLength": 30},
    {"type": "string", "maxLength": 3},
    {"type": "integer", "minimum": 5, "maximum": 6},
    {"type": "integer", "exclusiveMinimum": 5},
    {"type": "number", "maximum": 1},
    {"type": "boolean"},
    {"type": "null"},
    {"type": ["string", "null"]},
    {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 3},
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    {"oneOf": [{"const": "only"}]},
    {"enum": [1, "two", None]},
    {"type": "string", "pattern": "^[A-Z]{3}$", "examples": ["ABC"]},
    {},
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=json.dumps)
def test_made_up_values_satisfy_their_schema(schema):
    from jsonschema import Draft202012Validator

    for seed in range(30):
        Draft202012Validator(schema).validate(made_up("x", schema, Random(seed)))


def test_a_schema_without_end_is_followed_only_so_far():
    endless = {"type": "array", "minItems": 1}
    endless["items"] = endless
    assert made_up("x", endless, Random(1)) != []


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("departureDate", r"\d{4}-\d\d-\d\d"),
        ("pickup_time", r"\d\d:\d\d"),
        ("email", r"\w+@example\.com"),
        ("x", r"\w+ \w+"),
    ],
)
def test_names_of_parameters_say_what_texts_look_like(name, pattern):
    import re

    assert re.fullmatch(pattern, made_up(name, {"type": "string"}, Random(1)))


def test_texts_are_found_at_any_depth():
    assert texts_in({"a": ["x", {"b": "y"}], "c": 1}) == ["x", "y"]
