from __future__ import annotations

import json

import pytest
from pydantic import BaseModel

from distil_dagster.llm.requests import Request, request_body
from distil_dagster.llm.wire import chat_messages, described_schema, refuses_schema


class Answer(BaseModel):
    answer: str


def call(name, arguments, **fields):
    return {"type": "function", "function": {"name": name, "arguments": arguments}} | fields


def test_arguments_are_sent_as_json_text():
    [sent] = chat_messages([{"role": "assistant", "content": "", "tool_calls": [call("search", {"q": "ü"})]}])
    [made] = sent["tool_calls"]
    assert json.loads(made["function"]["arguments"]) == {"q": "ü"}
    assert made["id"] == "call_0_0"


def test_ids_and_text_arguments_stay_as_they_are():
    message = {"role": "assistant", "content": "", "tool_calls": [call("search", '{"q": 1}', id="abc")]}
    assert chat_messages([message]) == [message]


def test_tool_results_without_an_id_answer_the_calls_before_them_in_turn():
    sent = chat_messages(
        [
            {"role": "assistant", "content": "", "tool_calls": [call("a", {}), call("b", {}, id="own")]},
            {"role": "tool", "content": "1"},
            {"role": "tool", "content": "2", "tool_call_id": "own"},
            {"role": "assistant", "content": "", "tool_calls": [call("c", {})]},
            {"role": "tool", "content": "3"},
        ]
    )
    assert [message["tool_call_id"] for message in sent if message["role"] == "tool"] == ["call_0_0", "own", "call_3_0"]


def test_the_messages_given_are_not_changed():
    messages = [
        {"role": "assistant", "content": "", "tool_calls": [call("a", {})]},
        {"role": "tool", "content": "1"},
    ]
    before = json.dumps(messages)
    chat_messages(messages)
    assert json.dumps(messages) == before


@pytest.mark.parametrize("system", [True, False])
def test_a_schema_is_described_in_the_system_message(system, make_route):
    messages = ({"role": "user", "content": "Why?"},)
    if system:
        messages = ({"role": "system", "content": "Be brief."}, *messages)
    body = request_body(Request("teacher", messages, schema=Answer), make_route())
    described = described_schema(body)
    assert "response_format" not in described
    first, last = described["messages"]
    assert first["role"] == "system"
    assert first["content"].startswith("Be brief.\n\nReply with one JSON object" if system else "Reply with one JSON")
    assert '"required":["answer"]' in first["content"]
    assert last == messages[-1]
    assert body["messages"] == list(messages)


def test_a_body_without_a_schema_stays_as_it_is():
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    assert described_schema(body) == body


@pytest.mark.parametrize(
    ("detail", "refuses"),
    [
        ("status 400: This response_format type is unavailable now", True),
        ("status 400: JSON schema is not supported", True),
        ("status 400: maximum context length exceeded", False),
    ],
)
def test_a_refused_schema_is_told_from_other_bad_requests(detail, refuses):
    assert refuses_schema(detail) is refuses
