import json

from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.data.messages import Message, ToolCall, as_openai
from distil_dagster.data.normalise import Unreadable, parse_messages, strip_leading_system

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["role", "content", "tool_calls", "type", "x"]), inner),
)


def test_role_names_of_other_formats_are_understood():
    raw = [
        {"role": "developer", "content": "Be kind."},
        {"from": "human", "value": "Hello"},
        {"from": "gpt", "value": "Hi"},
        {"role": "function", "content": "42"},
    ]
    assert [message.role for message in parse_messages(raw)] == ["system", "user", "assistant", "tool"]


def test_text_parts_are_joined():
    raw = [{"role": "user", "content": [{"type": "text", "text": "one"}, "two"]}]
    assert parse_messages(raw) == (Message(role="user", content="one\ntwo"),)


def test_a_list_of_messages_as_a_json_string_is_read():
    assert parse_messages('[{"role": "user", "content": "hi"}]') == (Message(role="user", content="hi"),)


def test_tool_call_arguments_are_read_as_object_and_as_string():
    for arguments in ({"city": "Ulm"}, '{"city": "Ulm"}'):
        raw = [{"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": arguments}}]}]
        (message,) = parse_messages(raw)
        assert message.tool_calls == (ToolCall(name="f", arguments={"city": "Ulm"}, id="1"),)
        assert message.content == ""


def test_what_cannot_be_read_says_which_message_and_why():
    assert parse_messages([]) == Unreadable("no_messages", "messages is empty")
    assert parse_messages(None) == Unreadable("no_messages", "messages is null, not a list")
    second = parse_messages([{"role": "user", "content": "x"}, {"role": "robot", "content": "y"}])
    assert second == Unreadable("bad_message", "message 2: unknown role 'robot'")
    image = parse_messages([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}])
    assert isinstance(image, Unreadable)
    assert image.reason == "image_in_text_format"


def test_only_leading_system_messages_are_stripped():
    messages = [Message(role=role, content=role) for role in ("system", "system", "user", "system")]
    assert [message.role for message in strip_leading_system(messages)] == ["user", "system"]


@given(JSON)
def test_any_json_gives_messages_or_a_reason(value):
    parsed = parse_messages(value)
    assert isinstance(parsed, Unreadable) or all(isinstance(message, Message) for message in parsed)


@given(st.lists(st.builds(Message, role=st.sampled_from(["user", "assistant", "system"]), content=st.text()), min_size=1))
def test_openai_form_reads_back_as_it_was(messages):
    assert parse_messages(json.loads(json.dumps(as_openai(messages)))) == tuple(messages)
