import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.data.messages import Message, ToolCall, as_openai
from distil_dagster.data.normalise import Unreadable, load_json, parse_messages, strip_leading_system

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["role", "content", "tool_calls", "function", "type", "text", "x"]), inner)
    ),
)
PIXEL = "data:image/png;base64,iVBORw0KGgo="


def user(content):
    return [{"role": "user", "content": content}]


def assistant(**fields):
    return [{"role": "assistant", **fields}]


def detail(raw, **options):
    found = parse_messages(raw, **options)
    assert isinstance(found, Unreadable)
    return found.detail


def nested(depth):
    value = "core"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("developer", "system"),
        ("User", "user"),
        (" ASSISTANT ", "assistant"),
        ("human", "user"),
        ("ai", "assistant"),
        ("gpt", "assistant"),
        ("model", "assistant"),
        ("function", "tool"),
    ],
)
def test_role_names_of_other_formats_are_understood(name, role):
    assert parse_messages([{"role": name, "content": "x"}]) == (Message(role=role, content="x"),)


@pytest.mark.parametrize("key", ["from", "type"])
def test_the_role_stands_under_other_keys_in_other_formats(key):
    assert parse_messages([{key: "human", "content": "x"}]) == (Message(role="user", content="x"),)


def test_what_a_role_is_called_goes_before_what_type_a_message_has():
    assert parse_messages([{"role": "user", "type": "ai", "content": "x"}])[0].role == "user"


def test_the_text_of_share_gpt_stands_under_value():
    assert parse_messages([{"from": "human", "value": "Hello"}]) == (Message(role="user", content="Hello"),)


def test_text_parts_are_joined():
    parts = [{"type": "text", "text": "one"}, "two", {"type": "output_text", "text": "three"}]
    assert parse_messages(user(parts)) == (Message(role="user", content="one\ntwo\nthree"),)


def test_a_refusal_is_text():
    parts = [{"type": "refusal", "refusal": "I must not say."}]
    assert parse_messages(assistant(content=parts))[0].content == "I must not say."


@pytest.mark.parametrize("kind", ["thinking", "redacted_thinking", "reasoning"])
def test_a_models_reasoning_is_no_part_of_its_answer(kind):
    parts = [{"type": kind, "text": "Let me see."}, {"type": "text", "text": "Rome"}]
    raw = assistant(content=parts, reasoning_content="Let me see.", thinking="Let me see.")
    assert parse_messages(raw) == (Message(role="assistant", content="Rome"),)


def test_parts_that_are_no_text_are_named():
    assert detail(user([{"type": "input_audio"}])) == "message 1: content has a part that is not text: input_audio"
    assert detail(user([7])) == "message 1: content has a part that is not text: a number"
    assert detail(user({"city": "Ulm"})) == "message 1: content is an object, not text"


@pytest.mark.parametrize("result", [{"city": "Ulm"}, [{"city": "Ulm"}, {"city": "Bonn"}], 42])
def test_what_a_tool_gives_back_is_kept_as_json_where_it_is_no_text(result):
    (message,) = parse_messages([{"role": "tool", "tool_call_id": "c1", "content": result}])
    assert (json.loads(message.content), message.tool_call_id) == (result, "c1")


def test_a_tools_result_in_parts_is_text():
    (message,) = parse_messages([{"role": "tool", "content": [{"type": "text", "text": "sunny"}]}])
    assert message.content == "sunny"


def test_a_list_of_messages_may_be_a_json_string_or_a_tuple():
    expected = (Message(role="user", content="hi"),)
    assert parse_messages(json.dumps(user("hi"))) == expected
    assert parse_messages(tuple(user("hi"))) == expected


@pytest.mark.parametrize("arguments", [{"city": "Ulm"}, '{"city": "Ulm"}'], ids=["object", "string"])
@pytest.mark.parametrize(
    "shape",
    [
        lambda arguments: {"id": "1", "type": "function", "function": {"name": "f", "arguments": arguments}},
        lambda arguments: {"id": "1", "type": "tool_call", "name": "f", "args": arguments},
        lambda arguments: {"id": "1", "name": "f", "arguments": arguments},
        lambda arguments: {"id": "1", "name": "f", "parameters": arguments},
    ],
    ids=["openai", "langchain", "flat", "parameters"],
)
def test_tool_calls_are_read_in_all_their_shapes(shape, arguments):
    (message,) = parse_messages(assistant(content=None, tool_calls=[shape(arguments)]))
    assert message == Message(role="assistant", tool_calls=(ToolCall(name="f", arguments={"city": "Ulm"}, id="1"),))


def test_the_older_function_call_is_a_tool_call():
    raw = assistant(content=None, function_call={"name": "f", "arguments": '{"x": 1}'}, tool_calls=None)
    assert parse_messages(raw)[0].tool_calls == (ToolCall(name="f", arguments={"x": 1}),)


def test_tool_calls_go_before_the_older_function_call():
    raw = assistant(function_call={"name": "old"}, tool_calls=[{"function": {"name": "new"}}])
    assert parse_messages(raw)[0].tool_calls == (ToolCall(name="new"),)


@pytest.mark.parametrize("arguments", ["", None, {}, "{}"])
def test_a_call_without_arguments_has_none(arguments):
    raw = assistant(tool_calls=[{"function": {"name": "f", "arguments": arguments}}])
    assert parse_messages(raw)[0].tool_calls == (ToolCall(name="f"),)


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        ({"name": "f", "arguments": "{broken"}, "the arguments of the call of f are not JSON"),
        ({"name": "f", "arguments": '{"x": NaN}'}, "the arguments of the call of f are not JSON"),
        ({"name": "f", "arguments": {"x": float("inf")}}, "the arguments of the call of f are not JSON"),
        ({"name": "f", "arguments": '{"x": "\\ud800"}'}, "the arguments of the call of f are not JSON"),
        ({"name": "f", "arguments": "[1]"}, "the arguments of the call of f are a list"),
        ({"name": ""}, "a tool call lacks function.name"),
        ({}, "a tool call lacks function.name"),
        ("f", "a tool call lacks function.name"),
    ],
)
def test_a_broken_call_makes_its_message_unreadable(function, problem):
    assert detail(assistant(tool_calls=[{"function": function}])) == f"message 1: {problem}"


def test_what_cannot_be_read_says_which_message_and_why():
    assert parse_messages([]) == Unreadable("no_messages", "messages is empty")
    assert parse_messages(None) == Unreadable("no_messages", "messages is null, not a list")
    assert parse_messages("hello") == Unreadable("no_messages", "messages is a string that is not JSON")
    second = parse_messages([*user("x"), {"role": "robot", "content": "y"}])
    assert second == Unreadable("bad_message", "message 2: unknown role 'robot'")
    assert detail(["x"]) == "message 1: is a string, not an object"
    assert detail(assistant(tool_calls="f()")) == "message 1: tool_calls is a string, not a list"


def test_json_of_a_hundred_levels_is_still_read():
    assert load_json("[" * 100 + "]" * 100) is not None


def test_messages_nested_without_end_are_unreadable():
    assert detail([{"role": "tool", "content": nested(99)}]) == "nested deeper than 100 levels"


@pytest.mark.parametrize(
    ("part", "url"),
    [
        ({"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}}, PIXEL),
        ({"type": "image_url", "image_url": "https://example.org/a.png"}, "https://example.org/a.png"),
        ({"type": "input_image", "image_url": " https://example.org/a.png "}, "https://example.org/a.png"),
        ({"type": "image", "source": {"type": "url", "url": "http://example.org/a"}}, "http://example.org/a"),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}, PIXEL),
        ({"type": "image", "image": PIXEL}, PIXEL),
        ({"type": "image", "url": "https://example.org/a.png"}, "https://example.org/a.png"),
    ],
)
def test_images_are_read_beside_the_text(part, url):
    raw = user([{"type": "text", "text": "what is this?"}, part, {"type": "text", "text": "quick!"}])
    assert parse_messages(raw, images=True) == (Message(role="user", content="what is this?\nquick!", images=(url,)),)


def test_an_image_in_a_text_format_names_the_format_that_reads_it():
    found = parse_messages(user([{"type": "image_url", "image_url": {"url": PIXEL}}]))
    assert isinstance(found, Unreadable)
    assert found.reason == "image_in_text_format"
    assert "openai_messages_with_images" in found.detail


@pytest.mark.parametrize(
    "image",
    [
        None,
        "",
        {},
        {"url": None},
        {"url": 7},
        "photo.png",
        "https://",
        "data:image/png;base64,",
        "data:text/plain,a",
        3,
    ],
)
def test_an_image_without_a_usable_address_makes_its_message_unreadable(image):
    part = {"type": "image_url", "image_url": image}
    assert detail(user([part]), images=True) == "message 1: holds an image that is neither a link nor a data: URL"


def test_only_leading_system_messages_are_stripped():
    messages = [Message(role=role, content=role) for role in ("system", "system", "user", "system")]
    assert [message.role for message in strip_leading_system(messages)] == ["user", "system"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{broken", "Expecting property name"),
        ('{"x": NaN}', "not JSON compliant"),
        ("1e999", "not JSON compliant"),
        ('"\\ud800"', "surrogates not allowed"),
        ("[" * 101 + "]" * 101, "nested deeper than 100 levels"),
        ("[" * 100_000, "nested deeper than 100 levels"),
        ("9" * 5000, "4300 digits"),
    ],
)
def test_json_that_could_not_be_stored_again_is_refused(text, problem):
    with pytest.raises(ValueError, match=problem):
        load_json(text)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_json_reads_back_as_it_was(value):
    assert load_json(json.dumps(value)) == value


@given(JSON, st.booleans())
def test_any_json_gives_messages_or_a_reason(value, images):
    parsed = parse_messages(value, images=images)
    assert isinstance(parsed, Unreadable) or all(isinstance(message, Message) for message in parsed)


@given(
    st.lists(
        st.builds(
            Message,
            role=st.sampled_from(["user", "assistant", "system"]),
            content=st.text(),
            images=st.lists(st.sampled_from([PIXEL, "https://example.org/a.png"])).map(tuple),
            tool_calls=st.lists(
                st.builds(
                    ToolCall,
                    name=st.text(min_size=1),
                    arguments=st.dictionaries(st.text(), st.integers() | st.text()),
                    id=st.none() | st.text(min_size=1),
                )
            ).map(tuple),
        ),
        min_size=1,
    )
)
def test_openai_form_reads_back_as_it_was(messages):
    assert parse_messages(json.loads(json.dumps(as_openai(messages))), images=True) == tuple(messages)
