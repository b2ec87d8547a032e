import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.data.messages import Message, ToolCall
from distil_dagster.data.normalise import parse_messages
from distil_dagster.traces.formats.dialects import as_openai_form

CALL = {"id": "c1", "type": "function", "function": {"name": "track", "arguments": '{"id": 4}'}}
CALLING = Message(role="assistant", tool_calls=(ToolCall(name="track", arguments={"id": 4}, id="c1"),))
RESULT = Message(role="tool", content="It is in Ulm.", tool_call_id="c1")


def read(*messages):
    return parse_messages(as_openai_form(messages))


@pytest.mark.parametrize(
    "message",
    [
        {"type": "human", "content": "hi"},
        {"type": "HumanMessage", "content": "hi", "additional_kwargs": {}},
        {"type": "HumanMessageChunk", "content": [{"type": "text", "text": "hi"}]},
        {"type": "human", "data": {"content": "hi", "additional_kwargs": {}}},
        {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "HumanMessage"], "kwargs": {"content": "hi"}},
        {"role": "user", "parts": [{"text": "hi"}]},
        {"role": "user", "parts": [{"type": "text", "content": "hi"}]},
        {"role": "user", "content": {"type": "text", "text": "hi"}},
        {"role": "user", "content": {"parts": [{"text": "hi"}]}},
    ],
)
def test_a_user_turn_is_the_same_in_every_framework(message):
    assert read(message) == (Message(role="user", content="hi"),)


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "assistant", "content": None, "tool_calls": [CALL]}],
        [{"type": "ai", "content": "", "tool_calls": [{"name": "track", "args": {"id": 4}, "id": "c1"}]}],
        [{"type": "ai", "content": "", "additional_kwargs": {"tool_calls": [CALL]}, "tool_calls": []}],
        [{"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "track", "input": {"id": 4}}]}],
        [{"role": "assistant", "content": [CALL]}],
        [{"role": "assistant", "content": '[{"id": "c1", "function": {"name": "track", "arguments": {"id": 4}}}]'}],
        [{"role": "tool", "content": [CALL]}],
        [{"type": "function_call", "id": "fc1", "call_id": "c1", "name": "track", "arguments": '{"id": 4}'}],
        [{"type": "reasoning", "summary": []}, {"toolCallId": "c1", "toolName": "track", "args": {"id": 4}}],
    ],
)
def test_a_tool_call_is_the_same_in_every_framework(messages):
    assert read(*messages) == (CALLING,)


@pytest.mark.parametrize(
    "result",
    [
        {"role": "tool", "content": "It is in Ulm.", "tool_call_id": "c1"},
        {"role": "track", "content": "It is in Ulm.", "tool_call_id": "c1"},
        {"type": "tool", "content": "It is in Ulm.", "tool_call_id": "c1"},
        {"type": "function_call_output", "call_id": "c1", "output": "It is in Ulm."},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "It is in Ulm."}]},
        {"role": "user", "parts": [{"type": "tool_call_response", "id": "c1", "result": "It is in Ulm."}]},
        {"role": "tool", "content": [{"type": "tool-result", "toolCallId": "c1", "output": "It is in Ulm."}]},
    ],
)
def test_a_tools_result_is_the_same_in_every_framework(result):
    assert read({"role": "assistant", "tool_calls": [CALL]}, result) == (CALLING, RESULT)


def test_a_role_is_the_name_of_a_tool_only_after_its_call():
    found = read({"role": "track", "content": "It is in Ulm."})
    assert found.detail == "message 1: unknown role 'track'"


def test_a_tool_called_user_takes_no_turn_from_the_user():
    call = {"function": {"name": "user", "arguments": {}}}
    found = read({"role": "assistant", "tool_calls": [call]}, {"role": "user", "content": "hi"})
    assert [message.role for message in found] == ["assistant", "user"]


def test_calls_that_stand_alone_in_a_row_are_one_message():
    calls = [{"type": "function_call", "name": name, "arguments": "{}"} for name in ("track", "notify")]
    (message,) = read(*calls)
    assert [call.name for call in message.tool_calls] == ["track", "notify"]


def test_calls_of_two_messages_stay_two_messages():
    found = read(*[{"role": "assistant", "tool_calls": [CALL]}] * 2)
    assert found == (CALLING, CALLING)


@pytest.mark.parametrize("stated", [None, [], 7, "f()"])
def test_a_call_among_the_parts_counts_whatever_stands_beside_it(stated):
    assert read({"role": "assistant", "tool_calls": stated, "content": [CALL]}) == (CALLING,)


def test_a_call_that_stands_alone_does_not_hide_a_broken_one_before_it():
    found = read({"role": "assistant", "tool_calls": "f()"}, {"name": "track", "args": {}})
    assert found.detail == "message 1: tool_calls is a string, not a list"


def test_what_a_user_says_beside_a_tools_result_comes_after_it():
    parts = [
        {"type": "text", "text": "And now?"},
        {"type": "tool_result", "tool_use_id": "c1", "content": "It is in Ulm."},
    ]
    assert read({"role": "user", "content": parts}) == (RESULT, Message(role="user", content="And now?"))


def test_what_an_assistant_says_beside_its_call_is_kept():
    parts = [
        {"type": "text", "text": "One moment."},
        {"type": "tool_use", "id": "c1", "name": "track", "input": {"id": 4}},
    ]
    assert read({"role": "assistant", "content": parts}) == (CALLING.model_copy(update={"content": "One moment."}),)


def test_definitions_of_tools_are_no_messages():
    definition = {"name": "track", "description": "Finds a parcel.", "parameters": {"type": "object", "properties": {}}}
    listed = {"role": "tool", "content": {"type": "function", "function": definition}}
    assert read({"role": "user", "content": "hi"}, listed) == (Message(role="user", content="hi"),)


def test_thoughts_are_left_out():
    parts = [{"text": "Let me see.", "thought": True}, {"type": "thinking", "thinking": "Hm."}, {"text": "Ulm"}]
    assert read({"role": "model", "parts": parts}) == (Message(role="assistant", content="Ulm"),)


@pytest.mark.parametrize("content", [{"city": "Ulm"}, [{"city": "Ulm"}], 7, {"type": "complaint", "urgent": True}])
def test_content_that_was_json_text_is_that_text_again(content):
    (message,) = read({"role": "assistant", "content": content})
    assert json.loads(message.content) == content


def test_what_no_framework_writes_is_left_to_the_parser():
    assert as_openai_form([7, None, {"x": 1}]) == [7, None, {"x": 1}]


TURN = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool"]), "content": st.text()},
    optional={
        "tool_calls": st.lists(
            st.fixed_dictionaries(
                {
                    "id": st.text(),
                    "function": st.fixed_dictionaries(
                        {"name": st.text(min_size=1), "arguments": st.dictionaries(st.text(), st.integers())}
                    ),
                }
            )
        )
    },
)


@given(st.lists(TURN, min_size=1))
def test_openai_form_passes_unchanged(messages):
    assert parse_messages(as_openai_form(messages)) == parse_messages(messages)
