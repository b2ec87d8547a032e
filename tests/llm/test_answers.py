from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.llm.answers import GarbledAnswer, RawAnswer, RawToolCall, read_completion, without_thinking
from distil_dagster.llm.requests import Usage


def completion(message, finish_reason="stop", usage=None):
    return {"choices": [{"message": message, "finish_reason": finish_reason}], "usage": usage}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("plain", "plain"),
        ("<think>hm, {1}</think>\n\nplain", "plain"),
        ("\n<thinking>hm</thinking>plain", "plain"),
        ("<think>never ends", ""),
        ("hm, the tag was in the prompt</think>\nplain", "plain"),
        ('{"answer": "write </think> at the end"}', '{"answer": "write </think> at the end"}'),
        ("To think, write <b>thinking</b>", "To think, write <b>thinking</b>"),
        (
            "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>plain<|return|>",
            "plain",
        ),
        ("<|channel|>analysis<|message|>never ends", ""),
    ],
)
def test_thinking_in_the_text_is_taken_out(text, answer):
    assert without_thinking(text) == answer


@given(st.text(st.characters(exclude_characters="<")))
def test_text_without_tags_stays_as_it_is(text):
    assert without_thinking(text) == text


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "thinking_blocks"])
def test_thinking_in_fields_of_its_own_is_left_out(field):
    answer = read_completion(completion({"content": "plain", field: "hm, secret thoughts"}))
    assert answer.text == "plain"
    assert "secret" not in str(answer.as_json())


def test_only_the_text_parts_of_a_list_are_read():
    parts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "one "}, {"type": "text", "text": "two"}]
    assert read_completion(completion({"content": parts})).text == "one two"


def test_tool_calls_keep_their_arguments_as_text():
    call = {"id": "call_1", "type": "function", "function": {"name": "search", "arguments": "{broken"}}
    answer = read_completion(completion({"content": None, "tool_calls": [call]}, "tool_calls"))
    assert answer.text == ""
    assert answer.tool_calls == (RawToolCall("search", "{broken", "call_1"),)


def test_usage_is_counted_with_its_cached_part():
    usage = {"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 64}}
    assert read_completion(completion({"content": ""}, usage=usage)).usage == Usage(100, 7, 64)
    assert read_completion(completion({"content": ""})).usage == Usage()


@pytest.mark.parametrize(
    ("given_reason", "reason"),
    [("stop", "stop"), (None, "stop"), ("length", "length"), ("max_tokens", "length"), ("SAFETY", "content_filter")],
)
def test_finish_reasons_of_all_providers_mean_the_same(given_reason, reason):
    assert read_completion(completion({"content": "x"}, given_reason)).finish_reason == reason


def test_a_refusal_in_a_field_of_its_own_is_a_refusal():
    answer = read_completion(completion({"content": None, "refusal": "I won't."}))
    assert (answer.finish_reason, answer.text) == ("content_filter", "I won't.")


@pytest.mark.parametrize("payload", [None, [], "text", {}, {"choices": []}, {"choices": [{}]}, {"choices": [None]}])
def test_anything_else_is_garbled(payload):
    with pytest.raises(GarbledAnswer):
        read_completion(payload)


@given(st.text(st.characters()), st.lists(st.builds(RawToolCall, st.text(), st.text(), st.none() | st.text())))
def test_an_answer_comes_back_from_the_journal_as_it_was(text, calls):
    answer = RawAnswer(text, tuple(calls), "stop", Usage(1, 2, 3), 0.5)
    assert RawAnswer.from_json(answer.as_json(), 0.5) == answer
