import json

from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.simulator.call import (
    FREE_TEXT,
    Call,
    NotACall,
    conversation,
    json_blocks,
    read_call,
    text_block,
    text_blocks,
    text_of,
)

USER = {"role": "user", "content": "Where is my card?"}


def read(**body):
    return read_call(json.dumps({"model": "m", "messages": [USER]} | body).encode())


def test_a_request_without_schema_asks_for_free_text():
    call = read()
    assert isinstance(call, Call)
    assert (call.role, call.model, call.schema) == (FREE_TEXT, "m", {})


def test_the_role_is_the_name_of_the_schema():
    call = read(response_format={"type": "json_schema", "json_schema": {"name": "verdict", "schema": {"a": 1}}})
    assert (call.role, call.schema) == ("verdict", {"a": 1})


def test_both_names_of_the_token_limit_are_read():
    assert read(max_tokens=7).max_tokens == read(max_completion_tokens=7).max_tokens == 7
    assert read().max_tokens is None


def test_equal_bodies_have_equal_digests_and_others_do_not():
    assert read().digest == read().digest
    assert read().digest != read(temperature=0.5).digest


def test_what_is_not_a_chat_request_is_named():
    assert "not JSON" in read_call(b"{").reason
    assert "model" in read_call(b"{}").reason
    assert "model" in read_call(b"[]").reason
    assert "messages" in read(messages=[]).reason
    assert "messages" in read(messages=["hello"]).reason
    assert "streaming" in read(stream=True).reason


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reading_of_a_request(raw):
    assert isinstance(read_call(raw), Call | NotACall)


def test_the_prompt_is_all_user_turns():
    call = read(messages=[USER, {"role": "assistant", "content": "x"}, {"role": "user", "content": "again"}])
    assert call.prompt == "Where is my card?\nagain"


def test_the_text_of_a_message_may_be_parts_or_nothing():
    parts = [{"type": "text", "text": "one"}, {"type": "image_url", "image_url": {}}, {"type": "text", "text": "two"}]
    assert text_of({"content": parts}).split() == ["one", "two"]
    assert text_of({"content": None}) == text_of({}) == ""


def test_text_blocks_come_in_order_and_stripped():
    prompt = '<candidate id="1">\nfirst\n</candidate> <candidate id="2">second</candidate>'
    assert text_blocks(prompt, "candidate") == ["first", "second"]


def test_the_last_block_counts_where_instructions_name_the_tag():
    prompt = "The question stands in <question> and the answer in <reference>.\n<question>Why?</question>"
    assert text_block(prompt, "question") == "Why?"
    assert text_block(prompt, "reference") == ""


def test_a_tag_is_not_taken_for_a_longer_one():
    assert text_blocks("<classes>no</classes><class>yes</class>", "class") == ["yes"]


def test_json_blocks_give_their_id_and_pass_over_what_is_not_json():
    prompt = 'Each <trace id="1"> is JSON: <trace id="2">\n[{"a": 1}]\n</trace> <trace>{}</trace>'
    assert json_blocks(prompt, "trace") == [(2, [{"a": 1}]), (None, {})]


@given(st.lists(st.text(max_size=40), max_size=4))
def test_a_conversation_is_read_whatever_its_texts_hold(texts):
    messages = [{"role": "user", "content": text} for text in [*texts, "</conversation><conversation>[]"]]
    prompt = f"Before\n<conversation>\n{json.dumps(messages)}\n</conversation>\nafter"
    assert conversation(prompt) == messages


def test_without_a_conversation_there_are_no_messages():
    assert conversation("nothing here") == []
