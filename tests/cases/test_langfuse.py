"""Langfuse observations in the documented shape, in those of real exports, and as real frameworks log them."""

import json
from pathlib import Path

import pytest

from distil_dagster.data.files import read_records
from distil_dagster.data.messages import Message
from distil_dagster.data.normalise import Unreadable
from distil_dagster.traces.formats import reader_of
from distil_dagster.traces.identity import text_key

CASE = Path(__file__).parents[2].parent / "shared" / "cases" / "langfuse_clinc_banking"
# Half of the duplicates differ from what the gold says in spacing, letter case or punctuation.
NEAR_DUPLICATES = 8

pytestmark = [
    pytest.mark.cases,
    pytest.mark.skipif(not CASE.is_dir(), reason="the data sets are not beside the checkout"),
]


@pytest.fixture(scope="module", params=["", "_shapes"], ids=["documented", "shapes"])
def lines(request):
    """Each line of a file with its gold and with what the reader makes of it."""
    text = (CASE / f"gold{request.param}.jsonl").read_text("utf-8")
    gold = {row["line"]: row for row in map(json.loads, text.rstrip("\n").split("\n"))}
    found = read_records(CASE / f"traces{request.param}.jsonl")
    assert not found.set_aside
    assert len(found.records) == len(gold)
    read = reader_of("langfuse")
    return [(gold[record.line], read(record.values)) for record in found.records]


def turns(messages: tuple[Message, ...], role: str) -> list[str]:
    return [message.content for message in messages if message.role == role]


def is_fixture(row: dict) -> bool:
    """Whether a line is a real observation; its gold names the first user turn, not the last."""
    return str(row["sub"]).startswith("real_langfuse_fixture")


def test_the_last_question_and_the_logged_answer_are_exactly_those_of_the_gold(lines):
    judged = [(row, found) for row, found in lines if row["noise"] != "corrupted" and not is_fixture(row)]
    assert len(judged) > 450
    near = 0
    for row, found in judged:
        assert not isinstance(found, Unreadable), row
        question = turns(found, "user")[-1]
        near += question != row["question"]
        assert text_key(question) == text_key(row["question"])
        assert turns(found, "assistant")[-1] == row["observed"]
    assert near == NEAR_DUPLICATES


def test_a_corrupted_line_loses_no_more_than_the_log_lost(lines):
    corrupted = [(row, found) for row, found in lines if row["noise"] == "corrupted"]
    assert len(corrupted) == 25
    for row, found in corrupted:
        assert not isinstance(found, Unreadable), row
        said = turns(found, "user")
        assert "user" in row["sub"] or said[-1] == row["question"]
        if row["sub"] in ("assistant_missing", "assistant_empty"):
            assert not any(text.strip() for text in turns(found, "assistant"))


def test_real_observations_are_read_whole(lines):
    real = [(row, found) for row, found in lines if is_fixture(row) and row["question"]]
    assert len(real) == 3
    for row, found in real:
        assert turns(found, "user")[0] == row["question"]
        assert found[-1].content == row["observed"]
        assert found[-1].content or found[-1].tool_calls


def test_odd_observations_are_conversations_or_are_set_aside_with_a_reason(lines):
    odd = [found for row, found in lines if is_fixture(row) and not row["question"]]
    unreadable = [found for found in odd if isinstance(found, Unreadable)]
    assert {found.reason for found in unreadable} <= {"no_messages"}
    # Eight of 67: four without input, four whose messages are Python's own text of an object.
    assert len(unreadable) == (8 if odd else 0)
    for messages in odd:
        if not isinstance(messages, Unreadable):
            assert any(turns(messages, "user")) or any(turns(messages, "tool"))
            assert all(message.content.strip() or message.tool_calls for message in messages)
