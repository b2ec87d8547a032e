import typing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tool_calls import AWKWARD_TEXTS, TAGS, calls

from distil_dagster.config.catalogue import ToolFormat
from distil_dagster.data.messages import ToolCall
from distil_dagster.tasks.tool_syntax import TOOL_FORMATS, NoCalls, parse_calls, render_calls

HERMES = '<tool_call>\n{"name": "first", "arguments": {}}\n</tool_call>'
LFM2 = "<|tool_call_start|>[second()]<|tool_call_end|>"
FRAGMENTS = (
    *TAGS,
    *AWKWARD_TEXTS,
    *("{", "}", "[", "]", "(", ")", '"', "'", ":", ",", ";", "=", "call:", "f", "a=", "<escape>", "1", "1e999", "NaN"),
    *(
        '{"name": "f", "parameters": {',
        '"a": ',
        "f(",
        '{"answer": ',
        '{"function": ',
        "\\ud800",
        "\ud800",
        "\\U7fffffff",
    ),
)
TEXTS_LIKE_CALLS = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=3), max_size=14).map("".join)


def test_every_format_of_the_catalogue_can_be_written():
    assert set(TOOL_FORMATS) == set(typing.get_args(ToolFormat))


def test_an_unknown_format_is_a_key_error():
    with pytest.raises(KeyError):
        render_calls("mistral", [])


@settings(max_examples=1000, deadline=None)
@given(TEXTS_LIKE_CALLS | st.text(st.characters()))
def test_any_text_is_calls_that_can_be_stored_or_a_problem(text):
    parsed = parse_calls(text)
    if isinstance(parsed, NoCalls):
        assert parsed.problem
        return
    assert parsed
    for call in parsed:
        assert call.id is None
        call.model_dump_json()


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(TOOL_FORMATS), calls(), st.data())
def test_a_text_that_is_cut_or_changed_never_raises(tool_format, tool_calls, data):
    text = render_calls(tool_format, tool_calls)
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    parse_calls(text[:end])
    parse_calls(text[:start] + data.draw(st.sampled_from(FRAGMENTS)) + text[end:])


@pytest.mark.parametrize("tool_format", TOOL_FORMATS)
@pytest.mark.parametrize("depth", [101, 10_000, 200_000])
def test_deep_nesting_is_a_problem_and_no_crash(tool_format, depth):
    text = render_calls(tool_format, [ToolCall(name="f", arguments={"a": 4711})])
    assert "deeper than 100 levels" in parse_calls(text.replace("4711", "[" * depth + "]" * depth)).problem


@pytest.mark.parametrize("tool_format", TOOL_FORMATS)
def test_nesting_that_is_not_too_deep_is_read(tool_format):
    text = render_calls(tool_format, [ToolCall(name="f", arguments={"a": 4711})])
    assert isinstance(parse_calls(text.replace("4711", "[" * 90 + "]" * 90)), list)


@pytest.mark.parametrize(("text", "name"), [(f"{HERMES} or {LFM2}", "first"), (f"{LFM2} or {HERMES}", "second")])
def test_of_two_families_the_one_whose_tag_comes_first_is_read(text, name):
    assert [call.name for call in parse_calls(text)] == [name]


@pytest.mark.parametrize("before", ["[Note to self] ", '{"thought": "book"}\n', "{} "])
def test_text_before_a_tag_may_look_like_json(before):
    assert [call.name for call in parse_calls(before + LFM2)] == ["second"]


@pytest.mark.parametrize(
    "end", ["<|im_end|>", "<|eot_id|>\n", "<end_of_turn>\n<eos>", "<|im_end|><|endoftext|>", "</s>"]
)
def test_tokens_that_end_a_turn_are_left_out(end):
    assert parse_calls('{"name": "first"}' + end) == [ToolCall(name="first")]


def test_thinking_is_left_out_before_json_too():
    assert parse_calls('<think>\n\n</think>\n\n{"name": "first"}') == [ToolCall(name="first")]
