from random import Random

from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.simulator.sentences import capitalised, sentences
from distil_dagster.simulator.wording import Wording, default_wording, reworded

QUESTION = "Why was I charged a fee? I can't find it in the app."
NOTHING_TO_ADD = Wording(openers=("Hi,",), closers=("Thanks.",), synonyms=(("fee", "charge"),))


def test_the_same_seed_gives_the_same_wording():
    assert reworded(QUESTION, Random(1)) == reworded(QUESTION, Random(1))


def test_seeds_give_many_wordings():
    assert len({reworded(QUESTION, Random(seed)) for seed in range(300)}) > 250


def test_only_the_phrases_of_the_table_are_added():
    found = {reworded("A fee", Random(seed), NOTHING_TO_ADD) for seed in range(200)}
    cores, closed = ("A fee", "A charge"), (". Thanks.", "")
    assert found == {f"{before}{core}{after}" for before in ("", "Hi, ") for core in cores for after in closed}


def test_a_synonym_keeps_the_capital_letter():
    assert "Charge" in {reworded("Fee", Random(seed), NOTHING_TO_ADD) for seed in range(50)}


@given(st.text(min_size=1, max_size=80).filter(str.strip), st.integers())
def test_every_text_can_be_reworded(text, seed):
    assert reworded(text, Random(seed)).strip()


def test_the_package_has_enough_phrases_for_thousands_of_wordings():
    wording = default_wording()
    assert len(wording.openers) * len(wording.closers) > 600


def test_sentences_end_at_marks_and_line_breaks():
    assert sentences("One. Two? Three!\nFour \n\n five") == ["One.", "Two?", "Three!", "Four", "five"]
    assert sentences("  ") == []


def test_a_capital_letter_leaves_the_rest_as_it_is():
    assert capitalised("the PIN") == "The PIN"
    assert capitalised("") == ""
