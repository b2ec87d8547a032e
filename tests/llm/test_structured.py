from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, create_model

from distil_dagster.llm.structured import (
    Invalid,
    Valid,
    find_json_object,
    read_structured,
    repair_messages,
    response_format,
)


class Score(BaseModel):
    id: int
    relevance: int = Field(ge=1, le=5)
    reason: str = "none given"


class Scores(BaseModel):
    scores: list[Score]


class Label(BaseModel):
    answer: Literal["refund", "delivery"]


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Pet(BaseModel):
    pet: Cat | Dog = Field(discriminator="kind")
    owner: str | None = None


class FreeForm(BaseModel):
    arguments: dict[str, Any]


def objects_in(node: Any) -> list[dict[str, Any]]:
    found = [node] if isinstance(node, dict) and node.get("type") == "object" else []
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return found + [inner for child in children for inner in objects_in(child)]


@pytest.mark.parametrize("schema", [Score, Scores, Label, Pet])
def test_a_strict_schema_closes_every_object_and_requires_every_property(schema):
    sent = response_format(schema)["json_schema"]
    assert sent["strict"] is True
    assert objects_in(sent["schema"])
    for node in objects_in(sent["schema"]):
        assert node["additionalProperties"] is False
        assert node["required"] == list(node["properties"])
    text = json.dumps(sent)
    assert '"default":' not in text
    assert '"oneOf":' not in text


def test_a_schema_with_free_keys_is_sent_as_not_strict():
    sent = response_format(FreeForm)["json_schema"]
    assert sent["strict"] is False
    assert sent["schema"]["properties"]["arguments"]["type"] == "object"


def test_a_property_may_be_called_like_a_keyword():
    schema = create_model("Odd", default=(str, ...), properties=(int, ...), type=(str, ...))
    sent = response_format(schema)["json_schema"]
    assert sent["strict"] is True
    assert sent["schema"]["required"] == ["default", "properties", "type"]


def test_the_name_of_a_schema_defaults_to_its_class():
    assert response_format(Label)["json_schema"]["name"] == "Label"
    assert response_format(Label, "answer")["json_schema"]["name"] == "answer"


@pytest.mark.parametrize(
    "text",
    [
        '{"answer": "refund"}',
        ' \n{"answer": "refund"}\n',
        '```json\n{"answer": "refund"}\n```',
        '```\n{"answer": "refund"}\n```',
        'Sure! Here it is:\n```json\n{"answer": "refund"}\n```\nAnything else?',
        'The answer is {"answer": "refund"}.',
        'Among {refund, delivery} it is {"answer": "refund"}',
        '{"answer": "refund"}\n{"answer": "refund"}',
        '{"answer": "refund", "confidence": 0.9}',
    ],
)
def test_the_object_is_found_among_fences_and_prose(text):
    assert read_structured(text, Label) == Valid(Label(answer="refund"))


def test_raw_line_breaks_inside_strings_are_read():
    assert find_json_object('{"answer": "one\ntwo"}') == {"answer": "one\ntwo"}


def test_a_fence_inside_a_string_is_part_of_the_string():
    value = {"answer": "```json\n{}\n```"}
    assert find_json_object(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it is empty"),
        ("I cannot say.", "no valid JSON object"),
        ('{"answer": "refu', "no valid JSON object"),
        ("[1, 2]", "no valid JSON object"),
        ('{"answer": NaN}', "no valid JSON object"),
        ('{"a": 1} or {"a": 2}', "more than one JSON object"),
        ("{" * 100_000, "no valid JSON object"),
        ('{"a":' * 5_000, "no valid JSON object"),
    ],
    ids=["empty", "prose", "cut", "list", "nan", "two", "braces", "deep"],
)
def test_a_reply_without_one_object_says_what_is_wrong(text, problem):
    found = find_json_object(text)
    assert isinstance(found, Invalid)
    assert problem in found.problem


def test_a_wrong_value_is_named_with_its_place_and_what_would_be_right():
    reading = read_structured('{"scores": [{"id": 1, "relevance": 9, "reason": "x"}]}', Scores)
    assert isinstance(reading, Invalid)
    assert "scores.0.relevance" in reading.problem
    assert "less than or equal to 5" in reading.problem
    assert "not 9" in reading.problem


def test_a_missing_field_is_named():
    reading = read_structured("{}", Label)
    assert isinstance(reading, Invalid)
    assert "answer: field required" in reading.problem


def test_many_problems_are_counted_rather_than_listed():
    reading = read_structured(json.dumps({"scores": [{} for _ in range(10)]}), Scores)
    assert isinstance(reading, Invalid)
    assert reading.problem.count("field required") == 5
    assert "15 more problems" in reading.problem


def test_the_repair_turns_repeat_the_reply_and_say_the_problem():
    reply, demand = repair_messages("oops", "it holds no valid JSON object.", structured=True)
    assert reply == {"role": "assistant", "content": "oops"}
    assert demand["role"] == "user"
    assert demand["content"] == (
        "Your last reply cannot be used: it holds no valid JSON object.\n\n"
        "Answer the same request again. Reply with one JSON object that has exactly the fields asked for, and nothing "
        "else: no code fence, no text before or after it."
    )


def test_the_repair_of_a_tool_call_asks_for_a_tool_call():
    _, demand = repair_messages("oops", "it is wrong.", structured=False)
    assert demand["content"].endswith("Reply with one valid tool call, its arguments a JSON object.")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=10,
)
json_objects = st.dictionaries(st.text(max_size=8), json_values, max_size=4)
prose = st.text(st.characters(exclude_characters="{}`", exclude_categories=["Cs"]), max_size=40)


@given(json_objects, prose, prose, st.booleans(), st.sampled_from([None, 2]))
def test_any_object_is_found_within_any_prose(value, before, after, fenced, indent):
    text = json.dumps(value, indent=indent)
    text = f"```json\n{text}\n```" if fenced else text
    assert find_json_object(f"{before}\n{text}\n{after}") == value


@given(st.text(st.sampled_from('{}[]":,`\\ \nabc01'), max_size=200))
def test_any_text_is_read_or_refused(text):
    assert isinstance(find_json_object(text), dict | Invalid)


@given(json_objects, st.data())
def test_a_cut_object_is_never_taken_for_a_whole_one(value, data):
    text = json.dumps({"outer": value})
    cut = data.draw(st.integers(1, len(text) - 1))
    found = find_json_object(text[:cut])
    assert isinstance(found, Invalid) or found != {"outer": value}
