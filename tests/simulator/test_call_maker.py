from random import Random

import pytest
from simulator.invented import WORKSHOP_TOOLS, repair

from distil_dagster.simulator.comparing import normalised
from distil_dagster.simulator.folders import knowledge_of
from distil_dagster.simulator.knowledge import Asked, Wanted
from distil_dagster.simulator.request_writer import RequestWriter
from distil_dagster.simulator.turns import Turn

TOOLS = [tool["function"]["name"] for tool in WORKSHOP_TOOLS]


@pytest.fixture(scope="module")
def workshop(workshop_folder):
    return knowledge_of(workshop_folder)


def rows(knowledge, count=8, seed=1, **wanted):
    return knowledge.examples(Wanted(count, **wanted), Random(seed))


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_is_served_with_valid_calls(workshop, tool):
    made = rows(workshop, 20, label=tool)
    assert [row["answer"]["name"] for row in made] == [tool] * 20
    assert all(RequestWriter(WORKSHOP_TOOLS, []).is_valid(row["answer"]) for row in made)
    assert len({row["question"] for row in made}) > 15


def test_a_reworded_request_keeps_its_call_and_what_that_quotes(workshop):
    known = [repair("chain", "Monday"), repair("front brake", "Friday")]
    for row in rows(workshop, 40, label="book_repair"):
        assert row["answer"] in known
        assert all(value in row["question"] for value in row["answer"]["parameters"].values())


def test_rewordings_differ_enough_to_be_examples_of_their_own(workshop, rougel):
    made = [row["question"] for row in rows(workshop, 30, label="quote_price")]
    assert not any(rougel(text, "How much is a bell?") > 0.95 for text in made)
    assert sum(any(rougel(text, other) > 0.95 for other in made[:at]) for at, text in enumerate(made)) <= 3


def test_exemplars_are_not_given_back(workshop):
    shown = frozenset(normalised(text) for text in ("How much is a bell?", "I need a price for pedals."))
    assert {row["answer"]["parameters"]["part"] for row in rows(workshop, label="quote_price", shown=shown)} == {
        "tyres"
    }


def test_the_test_files_request_is_in_no_pool(workshop):
    made = rows(workshop, 60, label="book_repair")
    assert not any("saddle" in row["question"] for row in made)


def test_without_a_tool_any_request_will_do(workshop):
    assert {row["answer"]["name"] for row in rows(workshop, 20)} == {"book_repair", "quote_price"}


def test_an_unknown_tool_gives_no_examples(workshop):
    assert rows(workshop, label="sell_boat") == []


def test_wrong_examples_call_the_same_tool_with_another_argument(workshop):
    right = rows(workshop, 20, label="quote_price")
    wrong = workshop.wrong_examples(Wanted(20, label="quote_price"), Random(1))
    known = {normalised(row["question"]): row["answer"] for row in right}
    assert {row["answer"]["name"] for row in wrong} == {"quote_price"}
    assert any(normalised(row["question"]) in known for row in wrong)
    assert not any(known.get(normalised(row["question"])) == row["answer"] for row in wrong)


def test_a_wrong_answer_to_an_unknown_request_is_a_guess(workshop):
    guess = workshop.other_answer(Asked((Turn("user", "Xyzzy"),)), Random(1))
    assert RequestWriter(WORKSHOP_TOOLS, []).is_valid(guess)
