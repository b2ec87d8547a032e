import json

import pytest

from distil_dagster.data.messages import Message
from distil_dagster.data.normalise import Unreadable
from distil_dagster.traces.formats import reader_of

TURNS = [{"role": "user", "content": "Where is my parcel?"}, {"role": "assistant", "content": "parcels"}]
READ = (Message(role="user", content="Where is my parcel?"), Message(role="assistant", content="parcels"))
LINK = "https://example.org/label.png"
PICTURE = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": LINK}}]

plain = reader_of("openai_messages")
with_images = reader_of("openai_messages_with_images")
unstructured = reader_of("unstructured_with_openai_messages")


@pytest.mark.parametrize("read", [plain, with_images])
def test_messages_are_read_and_other_keys_left_aside(read):
    assert read({"messages": TURNS, "tools": [], "model": "x"}) == READ


def test_images_stand_beside_the_text_where_the_format_has_them():
    (message,) = with_images({"messages": [{"role": "user", "content": PICTURE}]})
    assert message == Message(role="user", content="What is this?", images=(LINK,))


def test_a_broken_image_sets_the_line_aside():
    parts = [{"type": "image_url", "image_url": {"url": "label.png"}}]
    assert with_images({"messages": [{"role": "user", "content": parts}]}) == Unreadable(
        "bad_message", "message 1: holds an image that is neither a link nor a data: URL"
    )


@pytest.mark.parametrize(
    ("read", "record"),
    [
        (plain, {"messages": [{"role": "user", "content": PICTURE}]}),
        (unstructured, {"context": json.dumps({"messages": [{"role": "user", "content": PICTURE}]})}),
        (reader_of("langfuse"), {"input": [{"role": "user", "content": PICTURE}], "output": "a label"}),
    ],
)
def test_text_formats_take_no_image_and_name_the_format_that_does(read, record):
    found = read(record)
    assert isinstance(found, Unreadable)
    assert found.reason == "image_in_text_format"
    assert "openai_messages_with_images" in found.detail


@pytest.mark.parametrize(
    "context",
    [json.dumps({"messages": TURNS}), json.dumps(TURNS), {"messages": TURNS}, TURNS, {"messages": json.dumps(TURNS)}],
    ids=["object as text", "list as text", "object", "list", "messages as text"],
)
def test_a_context_holds_the_conversation_as_text_or_as_it_is(context):
    assert unstructured({"context": context}) == READ


@pytest.mark.parametrize(
    ("context", "detail"),
    [
        ("A passage about parcels.", "context is a text, not a conversation as JSON"),
        ('{"messages": [', "context is a text, not a conversation as JSON"),
        ('{"turns": []}', "context is an object without messages"),
        ("7", "context is a number, not a conversation as JSON"),
        (None, "context is null, not a conversation as JSON"),
        ("[]", "messages is empty"),
    ],
)
def test_a_context_without_a_conversation_says_so(context, detail):
    assert unstructured({"context": context}) == Unreadable("no_messages", detail)
