import json

import pytest

from distil_dagster.data.messages import Message, ToolCall
from distil_dagster.data.normalise import Unreadable
from distil_dagster.traces.formats import reader_of

QUESTION, ANSWER = "Where is my parcel?", "parcels"
SYSTEM = {"role": "system", "content": "You sort letters."}
ASKED = {"role": "user", "content": QUESTION}
ANSWERED = {"role": "assistant", "content": ANSWER}
EXCHANGE = (Message(role="user", content=QUESTION), Message(role="assistant", content=ANSWER))
FROM_SYSTEM = (Message(role="system", content="You sort letters."), *EXCHANGE)

read = reader_of("langfuse")


def observation(asked, answered=ANSWER):
    return {"id": "1", "traceId": "2", "type": "GENERATION", "input": asked, "output": answered, "level": "DEFAULT"}


@pytest.mark.parametrize(
    "asked",
    [
        [ASKED],
        ASKED,
        [[ASKED]],
        QUESTION,
        [QUESTION],
        {"messages": [ASKED], "tools": [], "model": "x"},
        {"messages": QUESTION},
        {"prompt": QUESTION},
        {"prompt": [ASKED], "temperature": 0.5, "model": "x", "stream": False},
        {"input": [ASKED], "instructions": None},
        {"question": QUESTION, "history": []},
        {"args": [QUESTION], "kwargs": {}},
        {"args": [QUESTION]},
        {"args": [], "kwargs": {"text": QUESTION, "limit": 3, "strict": True, "user": None}},
        {"args": [[ASKED]], "kwargs": {}},
        {"kwargs": {"messages": [ASKED], "model": "x"}},
        {"model": "x", "contents": QUESTION},
        {"contents": [{"role": "user", "parts": [{"text": QUESTION}]}]},
        [{"type": "text", "text": QUESTION}],
        [{"type": "input_text", "text": QUESTION}],
        [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}],
    ],
    ids=json.dumps,
)
def test_the_question_is_found_in_every_shape_of_input(asked):
    assert read(observation(asked)) == EXCHANGE
    assert read(observation(json.dumps(asked) if not isinstance(asked, str) else asked)) == EXCHANGE


@pytest.mark.parametrize(
    "answered",
    [
        ANSWERED,
        [ANSWERED],
        ANSWER,
        {"content": ANSWER},
        {"output": ANSWER},
        {"content": ANSWER, "tool_calls": [], "type": "AIMessageChunk", "additional_kwargs": {}},
        {"choices": [{"index": 0, "message": ANSWERED}]},
        {"choices": [{"index": 0, "text": ANSWER}]},
        {"message": ANSWERED, "index": 0},
        {"messages": [ANSWERED]},
        {"messages": [ASKED, ANSWERED]},
        {"candidates": [{"content": {"role": "model", "parts": [{"text": ANSWER}]}}]},
        {"content": {"role": "model", "parts": [{"text": ANSWER}]}, "finish_reason": "STOP"},
        {"role": "assistant", "content": [{"type": "output_text", "text": ANSWER}]},
        [{"type": "text", "text": ANSWER}],
        {"object": "response", "output": [{"type": "reasoning", "summary": []}, {"type": "message", **ANSWERED}]},
    ],
    ids=json.dumps,
)
def test_the_answer_is_found_in_every_shape_of_output(answered):
    assert read(observation([ASKED], answered)) == EXCHANGE
    assert read(observation([ASKED], json.dumps(answered) if not isinstance(answered, str) else answered)) == EXCHANGE


@pytest.mark.parametrize(
    "asked",
    [
        [SYSTEM, ASKED],
        {"system": "You sort letters.", "messages": [ASKED]},
        {"system": [{"type": "text", "text": "You sort letters."}], "messages": [ASKED]},
        {"instructions": "You sort letters.", "input": QUESTION},
        {"contents": QUESTION, "config": {"system_instruction": "You sort letters."}},
        {"contents": QUESTION, "systemInstruction": {"parts": [{"text": "You sort letters."}]}},
    ],
    ids=json.dumps,
)
def test_a_system_prompt_comes_first_wherever_it_stands(asked):
    assert read(observation(asked)) == FROM_SYSTEM


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ([ASKED, ANSWERED], ANSWERED),
        ([ASKED, ANSWERED], ANSWER + "\n"),
        ([ASKED], [ASKED, ANSWERED]),
        ([ASKED, ANSWERED], [ASKED, ANSWERED]),
        ([ASKED, ANSWERED], None),
    ],
)
def test_what_stands_in_both_input_and_output_is_not_doubled(asked, answered):
    assert [message.content.strip() for message in read(observation(asked, answered))] == [QUESTION, ANSWER]


def test_the_same_answer_to_a_second_question_is_kept():
    found = read(observation([ASKED, ANSWERED, {"role": "user", "content": "And this one?"}], ANSWERED))
    assert [message.content for message in found] == [QUESTION, ANSWER, "And this one?", ANSWER]


@pytest.mark.parametrize("answered", [None, "", [], {}])
def test_an_observation_without_output_is_a_conversation_without_answer(answered):
    assert read(observation([ASKED], answered)) == EXCHANGE[:1]
    assert read({"input": [ASKED]}) == EXCHANGE[:1]


@pytest.mark.parametrize(
    "answered",
    [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "assistant", "content": "", "additional_kwargs": {"function_call": {"name": "f", "arguments": "{}"}}},
        {"tool_calls": [{"name": "f", "args": {}}]},
        {"name": "f", "arguments": {}},
        {"name": "f", "args": {}},
        [{"toolCallId": "1", "toolName": "f", "input": "{}"}],
        {"object": "response", "output": [{"type": "function_call", "name": "f", "arguments": "{}", "call_id": "1"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {}}]},
        [{"role": "assistant", "parts": [{"type": "tool_call", "id": "1", "name": "f", "arguments": {}}]}],
        {"content": {"role": "model", "parts": [{"function_call": {"name": "f", "args": {}}}]}},
    ],
    ids=json.dumps,
)
def test_a_tool_call_is_found_in_every_shape_of_output(answered):
    _, message = read(observation([ASKED], answered))
    assert (message.role, message.content) == ("assistant", "")
    assert [(call.name, call.arguments) for call in message.tool_calls] == [("f", {})]
    assert message.tool_calls[0].id in ("1", None)


@pytest.mark.parametrize("answered", [{"city": "Ulm"}, ["Ulm", "Bonn"], {"name": "Ann", "age": 7}, 42, False])
def test_an_answer_that_was_json_is_that_text_again(answered):
    (_, message) = read(observation([ASKED], answered))
    assert json.loads(message.content) == answered
    assert not message.tool_calls
    as_content = read(observation([ASKED], {"role": "assistant", "content": answered}))
    if not isinstance(answered, list):
        assert as_content[1] == message


def test_an_answer_that_is_json_text_stays_letter_by_letter():
    text = '{ "city":"Ulm" }'
    assert read(observation([ASKED], text))[1].content == text


@pytest.mark.parametrize("asked", ['{"city": "Ulm"}', "[1, 2]", '["a", "b"]', "{not json", "[sic]"])
def test_a_question_that_is_json_but_no_messages_stays_text(asked):
    assert read(observation(asked))[0] == Message(role="user", content=asked)


@pytest.mark.parametrize(
    ("asked", "detail"),
    [
        (None, "input is null"),
        (7, "input is a number"),
        ("  ", "input is empty"),
        ([], "input is empty"),
        ({"city": "Ulm"}, "input has neither messages nor one question; it has city"),
        ({"question": "q", "passage": "p"}, "input has neither messages nor one question; it has question, passage"),
        ({"args": ["a", "b"]}, "input has 2 arguments with text, not one question"),
        ({"args": [1], "kwargs": {}}, "input has 0 arguments with text, not one question"),
        (["a", "b"], "input is a list that holds more than messages"),
        ('{"messages": ["a", "b"]}', "input is a list that holds more than messages"),
        ('[{"role": "user", "content": "Where is', "input begins like messages, but is not JSON"),
    ],
)
def test_an_input_without_a_clear_question_says_what_it_is(asked, detail):
    assert read(observation(asked)) == Unreadable("no_messages", detail)


@pytest.mark.parametrize(
    ("asked", "answered", "problem"),
    [
        (
            [{"role": "robot", "content": "x"}],
            ANSWER,
            Unreadable("bad_message", "input, message 1: unknown role 'robot'"),
        ),
        (
            [ASKED],
            {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]},
            Unreadable("bad_message", "output, message 1: the arguments of the call of f are not JSON"),
        ),
        (
            [ASKED],
            '{"role": "assistant", "cont',
            Unreadable("no_messages", "output begins like a message, but is not JSON"),
        ),
    ],
)
def test_a_broken_message_says_where_it_stands(asked, answered, problem):
    assert read(observation(asked, answered)) == problem


def test_a_tools_call_and_result_stand_between_question_and_answer():
    asked = {
        "contents": [
            {"role": "user", "parts": [{"text": QUESTION}]},
            {"role": "model", "parts": [{"function_call": {"name": "track", "args": {"id": 4}}}]},
            {"role": "user", "parts": [{"function_response": {"name": "track", "response": {"at": "Ulm"}}}]},
        ]
    }
    assert read(observation(asked)) == (
        EXCHANGE[0],
        Message(role="assistant", tool_calls=(ToolCall(name="track", arguments={"id": 4}),)),
        Message(role="tool", content='{"at": "Ulm"}'),
        EXCHANGE[1],
    )


def test_an_input_nested_without_end_is_set_aside():
    asked = QUESTION
    for _ in range(500):
        asked = {"messages": asked}
    assert read(observation(asked)) == Unreadable("bad_message", "nested deeper than 100 levels")
