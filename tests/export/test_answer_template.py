import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers.utils.chat_parsing import ResponseParser, parse_response

from distil_dagster.data.messages import ToolCall
from distil_dagster.export.answer_template import answer_template
from distil_dagster.tasks.tool_syntax import TOOL_FORMATS, NoCalls, parse_calls, render_calls

STOPS = ["<|im_end|>", "<eos>"]
READ_BY_THE_SERVER = ("hermes", "llama3_json", "functiongemma")

words = st.text(st.sampled_from('ab{}[]":,\\<>/\n é'), max_size=8)
scalars = st.one_of(words, st.integers(-99, 99), st.booleans(), st.floats(-9, 9))
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=5,
)
calls = st.builds(
    ToolCall,
    name=st.sampled_from(["hire_boat", "hire-boat", "a.b"]),
    arguments=st.dictionaries(st.sampled_from(["boat", "hours", "é"]), values, max_size=3),
)


def answer(text: str, tool_format: str | None) -> dict:
    """What the server makes of a text, whole or in a stream of characters, behind a prompt that holds calls itself."""
    template, prompt = answer_template(tool_format, STOPS), '<tool_call>{"name": "a", "arguments": {}}</tool_call>\n'
    whole = parse_response(text, template, prefix=prompt)
    streamed = ResponseParser(template, prefix=prompt)
    for character in text:
        streamed.feed(character)
    assert streamed.finalize()[0] == whole
    return whole


def calls_of(answered: dict) -> list[ToolCall]:
    functions = [call["function"] for call in answered.get("tool_calls", ())]
    return [
        ToolCall(
            name=function["name"],
            arguments=json.loads(function["arguments"])
            if isinstance(function["arguments"], str)
            else function["arguments"],
        )
        for function in functions
    ]


@pytest.mark.parametrize("stop", ["", *STOPS])
@pytest.mark.parametrize("tool_format", READ_BY_THE_SERVER)
@given(call=calls)
def test_a_call_is_read_as_evaluation_reads_it(tool_format, stop, call):
    text = render_calls(tool_format, [call])
    answered = answer(text + stop, tool_format)
    assert calls_of(answered) == parse_calls(text)
    assert "content" not in answered


@pytest.mark.parametrize("tool_format", TOOL_FORMATS)
@given(call=calls, cut=st.integers(1, 60), junk=words)
def test_what_is_no_whole_call_is_text_and_no_error(tool_format, call, cut, junk):
    whole = render_calls(tool_format, [call])
    text = whole[:-cut] + junk
    answered = answer(text + "<eos>", tool_format)
    if "tool_calls" in answered:
        assert calls_of(answered) == parse_calls(text)
    else:
        assert answered.get("content", "") == text


@pytest.mark.parametrize("tool_format", [None, *TOOL_FORMATS])
@given(text=st.text(st.sampled_from("ab <>|/{}\n"), max_size=12))
def test_a_text_is_given_letter_by_letter(tool_format, text):
    assert answer(text + "<|im_end|>", tool_format).get("content", "") == text


def test_several_calls_of_qwen_are_several_calls():
    both = [ToolCall(name="find_boat", arguments={"seats": 2}), ToolCall(name="hire_boat", arguments={"boat": "Swan"})]
    assert calls_of(answer(render_calls("hermes", both) + "<eos>", "hermes")) == both


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>\n{"name": "a", "arguments": {"b": }}\n</tool_call>',
        '<tool_call>\n{"name": "a"}\n</tool_call>',
        '<tool_call>\n{"name": "a", "arguments": "b"}\n</tool_call>',
        '<tool_call>\n{"name": "a", "arguments": {"b": 01}}\n</tool_call>',
        '<tool_call>\n{"name": "a", "arguments": {"b": "line\nbreak"}}\n</tool_call>',
    ],
)
def test_a_call_that_is_not_json_is_text(text):
    assert answer(text + "<eos>", "hermes") == {"content": text}


def test_lfm2s_calls_stay_text_with_their_tags():
    text = render_calls("lfm2", [ToolCall(name="hire_boat", arguments={"boat": "Swan"})])
    assert answer(text + "<eos>", "lfm2") == {"content": text}
    assert not isinstance(parse_calls(text), NoCalls)
