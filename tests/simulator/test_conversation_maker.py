from random import Random

import pytest
from simulator.invented import BELL, CHAIN, DEAR, LAMP, WORKSHOP_TOOLS, as_messages

from distil_dagster.simulator.folders import knowledge_of
from distil_dagster.simulator.knowledge import Asked, Wanted
from distil_dagster.simulator.request_writer import RequestWriter
from distil_dagster.simulator.turns import said, turns_of


def calls_of(known):
    return [turn for turn in known if isinstance(turn, dict)]


@pytest.fixture(scope="module")
def counter(counter_folder):
    return knowledge_of(counter_folder)


def conversations(knowledge, count=6, seed=1, **wanted):
    return [row["turns"] for row in knowledge.examples(Wanted(count, **wanted), Random(seed))]


def asked(known, *, whole=True):
    return Asked(turns_of(as_messages(known)), whole=whole)


def test_a_conversation_keeps_its_calls_and_its_tools_results(counter):
    for turns in conversations(counter, label="book_repair"):
        assert [turn["call"] for turn in turns] == calls_of(CHAIN)
        assert [turn["role"] for turn in turns] == ["user", "user", "tool", "user"]
        assert turns[2]["content"] == DEAR


def test_users_say_it_in_other_words(counter, rougel):
    made = conversations(counter, label="book_repair")
    known = [turn[1] for turn in CHAIN if isinstance(turn, tuple) and turn[0] == "user"]
    for turns in made:
        spoken = [turn["content"] for turn in turns if turn["role"] == "user"]
        assert all(rougel(one, other) < 0.95 for one, other in zip(spoken, known, strict=True))
        assert "Tuesday" in spoken[1]
    assert len({str(turns) for turns in made}) == len(made)


def test_the_tool_asked_for_is_called(counter):
    for tool in ("say", "quote_price", "book_repair"):
        assert all(tool in {turn["call"]["name"] for turn in turns} for turns in conversations(counter, label=tool))


def test_a_tool_that_no_conversation_calls_is_asked_for_first(counter):
    for turns in conversations(counter, label="rent_bicycle"):
        first, *rest = turns
        assert (first["role"], first["call"]["name"]) == ("user", "rent_bicycle")
        assert RequestWriter(WORKSHOP_TOOLS, []).is_valid(first["call"])
        assert [turn["call"] for turn in rest] in (calls_of(CHAIN), calls_of(BELL))


def test_an_unknown_tool_gives_no_conversations(counter):
    assert conversations(counter, label="sell_boat") == []


def test_a_shown_conversation_is_not_given_back(counter):
    shown = frozenset({said(turns_of(as_messages(CHAIN)))})
    assert all([turn["call"] for turn in turns] == calls_of(BELL) for turns in conversations(counter, shown=shown))


def test_no_test_conversation_is_given(counter):
    assert all([turn["call"] for turn in turns] != calls_of(LAMP) for turns in conversations(counter, 40))


def test_a_wrong_conversation_has_one_wrong_call(counter):
    rows = counter.wrong_examples(Wanted(10, label="book_repair"), Random(1))
    for row in rows:
        made = [turn["call"] for turn in row["turns"]]
        assert sum(one != other for one, other in zip(made, calls_of(CHAIN), strict=True)) == 1


def test_a_wrong_answer_to_a_whole_conversation_is_wrong_in_one_turn(counter):
    for seed in range(10):
        other = counter.other_answer(asked(CHAIN), Random(seed))
        assert sum(one != right for one, right in zip(other, calls_of(CHAIN), strict=True)) == 1


def test_an_unknown_conversation_gets_a_guess_for_each_turn(counter):
    unknown = [
        ("user", "Xyzzy"),
        {"name": "say", "parameters": {}},
        ("user", "plugh"),
        {"name": "say", "parameters": {}},
    ]
    assert counter.answer(asked(unknown)) is None
    guesses = counter.other_answer(asked(unknown), Random(1))
    assert len(guesses) == 2
    assert all(RequestWriter(WORKSHOP_TOOLS, []).is_valid(guess) for guess in guesses)


def test_a_result_that_the_user_speaks_after_is_left_out(tmp_path, counter_folder):
    from simulator.invented import write_folder

    talk = [("user", "My bell?"), BELL[1], ("tool", "{}"), ("user", "Hurry up."), BELL[3]]
    job = {"task_description": "Serve.", "tools": WORKSHOP_TOOLS}
    write_folder(tmp_path, job, train=[{"messages": as_messages(talk)}])
    ((_, second),) = conversations(knowledge_of(tmp_path), 1)
    assert second["role"] == "user"
    assert "Hurry up" in second["content"]
    assert "{}" not in second["content"]
