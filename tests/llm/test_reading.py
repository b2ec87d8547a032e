from __future__ import annotations

import pytest
from pydantic import BaseModel

from distil_dagster.data.messages import ToolCall
from distil_dagster.llm.answers import RawAnswer, RawToolCall
from distil_dagster.llm.reading import ToRepair, after_repair, read_answer, repair_request
from distil_dagster.llm.requests import Answered, Failed, Usage


class Answer(BaseModel):
    answer: str


def raw(text="fine", calls=(), finish_reason="stop"):
    return RawAnswer(text, calls, finish_reason, Usage(10, 5), 0.5)


def test_free_text_is_taken_as_it_is(question):
    answer = read_answer(question("q"), raw(), "key", from_journal=True)
    assert answer == Answered("fine", None, (), Usage(10, 5), 0.5, "stop", "key", from_journal=True)


def test_a_valid_object_is_parsed(question):
    answer = read_answer(question("q", schema=Answer), raw('{"answer": "yes"}'), "key", False)
    assert answer.parsed == Answer(answer="yes")


def test_tool_calls_are_parsed(question):
    calls = (RawToolCall("search", '{"q": "x"}', "call_1"),)
    answer = read_answer(question("q"), raw("", calls, "tool_calls"), "key", False)
    assert answer.tool_calls == (ToolCall(name="search", arguments={"q": "x"}, id="call_1"),)


@pytest.mark.parametrize("arguments", ["{broken", "[1]", '"text"', "[" * 100_000])
def test_broken_arguments_are_to_be_repaired(question, arguments):
    reading = read_answer(question("q"), raw("", (RawToolCall("search", arguments),)), "key", False)
    assert reading == ToRepair("the arguments of the call of search are not a JSON object.")


def test_a_cut_answer_is_named_so_even_where_it_does_not_parse(question):
    reading = read_answer(question("q", schema=Answer), raw('{"answer": "ye', finish_reason="length"), "key", False)
    assert isinstance(reading, Failed)
    assert reading.reason == "truncated"
    assert "5 tokens" in reading.detail


def test_a_filtered_answer_is_a_refusal(question):
    reading = read_answer(question("q"), raw("I won't.", finish_reason="content_filter"), "key", False)
    assert reading == Failed("refused_by_provider", "I won't.", "key")


def test_a_repair_goes_on_with_the_same_conversation(question):
    request = question("q", schema=Answer, temperature=0.3)
    repair = repair_request(request, raw("nonsense"), "it holds no valid JSON object.")
    assert repair.messages[:1] == request.messages
    assert [message["role"] for message in repair.messages] == ["user", "assistant", "user"]
    assert repair.messages[1]["content"] == "nonsense"
    assert (repair.schema, repair.temperature) == (Answer, 0.3)


def test_a_repair_of_a_tool_call_shows_the_call_as_text(question):
    repair = repair_request(question("q"), raw("", (RawToolCall("search", "{broken"),)), "it is broken.")
    assert repair.messages[1] == {"role": "assistant", "content": "search({broken)"}


def test_there_is_no_second_repair(question):
    result = after_repair(question("q", schema=Answer), raw("nonsense"), "key", False)
    assert result.reason == "invalid_answer"
    assert "no valid JSON object" in result.detail
    assert "nonsense" in result.detail
