"""Whatever stands in a trace file: every line is read or set aside, and no reader raises."""

import json
from copy import deepcopy
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.config.sections import ObservationFormat
from distil_dagster.data.files import read_records
from distil_dagster.data.messages import Message, as_openai
from distil_dagster.data.normalise import Unreadable
from distil_dagster.traces.formats import reader_of

FORMATS = get_args(ObservationFormat)
CALL = {"id": "c1", "type": "function", "function": {"name": "track", "arguments": '{"id": 4}'}}
TURNS = [
    {"role": "system", "content": "You sort letters."},
    {"role": "user", "content": [{"type": "text", "text": "Where is it?"}]},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "content": [{"type": "text", "text": "Ulm"}], "tool_call_id": "c1"},
    {"role": "assistant", "content": "It is in Ulm."},
]
PICTURE = {"type": "image_url", "image_url": {"url": "https://example.org/label.png"}}
GEMINI = {
    "contents": [
        {"role": "user", "parts": [{"text": "Where is it?"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "track", "args": {"id": 4}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "track", "response": {"at": "Ulm"}}}]},
    ],
    "config": {"system_instruction": "You sort letters."},
}
LANGCHAIN = {
    "lc": 1,
    "id": ["messages", "AIMessage"],
    "kwargs": {"content": "Ulm", "additional_kwargs": {"tool_calls": [CALL]}},
}
RESPONSE = {
    "object": "response",
    "output": [
        {"type": "reasoning", "summary": []},
        {"type": "function_call", "call_id": "c1", "name": "track", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "Ulm"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Ulm"}]},
    ],
}
VALID = [
    {"messages": TURNS, "tools": []},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "?"}, PICTURE]}, TURNS[-1]]},
    {"context": json.dumps({"messages": TURNS})},
    {"id": "1", "input": TURNS[:2], "output": TURNS[2]},
    {"id": "1", "input": {"messages": TURNS, "system": "x"}, "output": {"choices": [{"message": TURNS[-1]}]}},
    {"id": "1", "input": {"args": ["Where is it?"], "kwargs": {"limit": 1}}, "output": "Ulm"},
    {
        "id": "1",
        "input": GEMINI,
        "output": {"candidates": [{"content": {"role": "model", "parts": [{"text": "Ulm"}]}}]},
    },
    {"id": "1", "input": [LANGCHAIN], "output": RESPONSE},
    {"id": "1", "input": json.dumps(TURNS), "output": [{"toolCallId": "c1", "toolName": "track", "input": "{}"}]},
]


def places(value, path=()):
    """The paths of all values inside a value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in inside:
        yield (*path, key)
        yield from places(inner, (*path, key))


# What readers look for stands where it does not belong more often than by chance.
KEYS = sorted({step for path in places(VALID) for step in path if isinstance(step, str)})
WORDS = st.sampled_from([*KEYS, "user", "assistant", "tool", "ai", "[{", '{"role":'])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def mutated(draw):
    """A valid trace with up to three values dropped, replaced, wrapped, or written as JSON text."""
    record = deepcopy(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(0, 3))):
        paths = list(places(record))
        if not paths:
            break
        *path, key = draw(st.sampled_from(paths))
        holder = record
        for step in path:
            holder = holder[step]
        change = draw(st.sampled_from(["drop", "replace", "wrap", "as text", "repeat"]))
        if change == "drop":
            del holder[key]
        elif change == "replace":
            holder[key] = draw(JSON)
        elif change == "wrap":
            holder[key] = [holder[key]]
        elif change == "as text":
            holder[key] = json.dumps(holder[key])
        else:
            holder[key] = [holder[key], holder[key]]
    return record


def check(found):
    if isinstance(found, Unreadable):
        assert found.detail
    else:
        assert found
        assert all(isinstance(message, Message) for message in found)
        json.dumps(as_openai(found), ensure_ascii=False)


@pytest.mark.parametrize("observation_format", FORMATS)
@given(record=st.dictionaries(WORDS | st.text(max_size=3), JSON, max_size=4))
def test_any_object_gives_messages_or_a_reason(observation_format, record):
    check(reader_of(observation_format)(record))


@pytest.mark.parametrize("observation_format", FORMATS)
@given(record=mutated())
def test_a_damaged_trace_gives_messages_or_a_reason(observation_format, record):
    check(reader_of(observation_format)(record))


@given(asked=JSON, answered=JSON)
def test_any_input_and_output_of_an_observation_give_messages_or_a_reason(asked, answered):
    check(reader_of("langfuse")({"id": "1", "input": asked, "output": answered}))


@st.composite
def trace_files(draw):
    """The bytes of a file: whole traces, damaged ones, traces cut anywhere, and bytes that are no text."""
    lines = st.one_of(
        mutated().map(lambda record: json.dumps(record).encode()),
        mutated().map(lambda record: json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogatepass")),
        st.tuples(mutated(), st.integers(0, 400)).map(lambda pair: json.dumps(pair[0]).encode()[: pair[1]]),
        st.binary(max_size=30),
        JSON.map(lambda value: json.dumps(value).encode()),
    )
    return draw(st.sampled_from([b"\n", b"\r\n"])).join(draw(st.lists(lines, max_size=6)))


@pytest.mark.parametrize("observation_format", FORMATS)
@given(content=trace_files())
def test_every_line_of_any_file_is_read_or_set_aside(tmp_path_factory, observation_format, content):
    path = tmp_path_factory.getbasetemp() / "traces.jsonl"
    path.write_bytes(content)
    found = read_records(path)
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    assert len(found.records) + len(found.set_aside) == len(lines) - (lines[-1] == b"")
    for record in found.records:
        messages = reader_of(observation_format)(record.values)
        check(messages)
        if not isinstance(messages, Unreadable):
            json.dumps(as_openai(messages), ensure_ascii=False).encode("utf-8")


def test_the_valid_traces_are_valid():
    """Otherwise the mutations would start from nothing."""
    read = [{name for name in FORMATS if not isinstance(reader_of(name)(record), Unreadable)} for record in VALID]
    assert read == [
        {"openai_messages", "openai_messages_with_images"},
        {"openai_messages_with_images"},
        {"unstructured_with_openai_messages"},
        *[{"langfuse"}] * 6,
    ]
