import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tool_calls import TEXTS, calls, exactly

from distil_dagster.data.messages import Message, ToolCall
from distil_dagster.tasks.tool_syntax import NoCalls, parse_calls

BOOKED = ToolCall(name="book_table", arguments={"guests": 4})
PLAIN = {"name": "book_table", "parameters": {"guests": 4}}
FUNCTION = {"name": "book_table", "arguments": '{"guests": 4}'}
OPENAI = {"id": "call_7", "type": "function", "function": FUNCTION}


@pytest.mark.parametrize(
    "value",
    [
        PLAIN,
        {"name": "book_table", "arguments": {"guests": 4}},
        FUNCTION,
        [PLAIN],
        OPENAI,
        [OPENAI],
        {"role": "assistant", "content": None, "tool_calls": [OPENAI]},
        {"answer": PLAIN},
        {"answer": [PLAIN]},
        {"answer": json.dumps(PLAIN)},
        json.dumps(PLAIN),
    ],
)
@pytest.mark.parametrize("wrapping", ["{}", " {}\n", "```json\n{}\n```", "```\n{}```", "{}<|im_end|>"])
def test_every_shape_of_a_json_call_is_read_and_its_id_left_out(value, wrapping):
    assert parse_calls(wrapping.replace("{}", json.dumps(value, indent=1))) == [BOOKED]


@settings(deadline=None)
@given(calls(argument_names=TEXTS, most=1))
def test_the_answer_of_a_message_is_read_back(tool_calls):
    message = Message(role="assistant", tool_calls=tuple(tool_calls))
    assert exactly(parse_calls(message.answer)) == exactly(tool_calls)


@given(st.sampled_from(["<tool_call>", "<|python_tag|>", "<|tool_call_start|>[f()]<|tool_call_end|>"]))
def test_tags_in_the_strings_of_json_are_text(tag):
    call = ToolCall(name="say", arguments={"message": tag})
    assert parse_calls(json.dumps(call.as_answer())) == [call]


@pytest.mark.parametrize(
    "arguments", ['{"name": "hi"}', '{"name": "hi", "arguments": null}', '{"name": "hi", "arguments": ""}']
)
def test_a_call_without_arguments_has_none(arguments):
    assert parse_calls(arguments) == [ToolCall(name="hi")]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "neither JSON nor"),
        ("   ", "neither JSON nor"),
        ("I would book a table.", "neither JSON nor"),
        (f"Here it is: {json.dumps(PLAIN)}", "neither JSON nor"),
        (f"```json\n{json.dumps(PLAIN)}\n```\nThat is it.", "neither JSON nor"),
        ('{"name": "book_table", "parameters": {"guests": 4}', "not JSON: Expecting ',' delimiter at character 50"),
        ("[]", "a list without a call"),
        ('{"tool_calls": []}', "a list without a call"),
        ("4", "not a call but a number"),
        ("null", "not a call but null"),
        ('["book_table"]', "a text in place of a call: not JSON"),
        ('{"guests": 4}', "without a name is not a call; it has guests"),
        ("{}", "it has nothing"),
        ('{"name": 4}', "name is not a text"),
        ('{"name": " "}', "name is not a text, or empty"),
        ('{"name": "book_table", "guests": 4}', "neither parameters nor arguments, but guests"),
        ('{"name": "a", "parameters": {}, "arguments": {}}', "both parameters and arguments"),
        ('{"name": "a", "arguments": [1]}', "the arguments of the call of a are a list, not an object"),
        ('{"name": "a", "arguments": false}', "are a boolean"),
        ('{"name": "a", "arguments": "b"}', "not JSON"),
        ('{"name": "a", "arguments": {"b": NaN}}', "not JSON compliant"),
        ('{"name": "a", "arguments": {"b": -Infinity}}', "not JSON compliant"),
        ('{"name": "a", "arguments": {"b": 1e999}}', "not JSON compliant"),
        ('{"name": "a", "arguments": "{\\"b\\": NaN}"}', "not JSON compliant"),
        ('{"name": "a", "arguments": {"b": "\\ud800"}}', "surrogates not allowed"),
        (f'{{"name": "a", "arguments": {{"b": {"9" * 5000}}}}}', "limit"),
    ],
)
def test_what_is_no_call_has_a_problem_that_says_why(text, problem):
    parsed = parse_calls(text)
    assert isinstance(parsed, NoCalls)
    assert problem in parsed.problem
