from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulator.invented import PASSAGES

from distil_dagster.simulator.passages import gap_question, gaps, shortened


@pytest.mark.parametrize(
    ("sentence", "kind", "answer"),
    [
        ("The bridge was opened on 4 July 1931 by nobody.", "date", "4 July 1931"),
        ("It was a warm day in March 1931 in the hills.", "date", "March 1931"),
        ("The bridge was opened in 1931 by nobody.", "year", "1931"),
        ("The bridge carries 12,400 carts every week.", "number", "12,400"),
        ("The bridge carries 3 million carts every year.", "number", "3 million"),
        ("The bridge was drawn by Ruth van Dalen in a week.", "name", "Ruth van Dalen"),
        ("The bridge was Ruth's favourite place of all.", "name", "Ruth"),
        ("The bridge is made of polished granite and oak.", "word", "granite"),
    ],
)
def test_spans_of_every_kind_are_found(sentence, kind, answer):
    assert (kind, answer) in {(gap.kind, gap.answer) for gap in gaps(sentence)}


def test_the_first_word_of_a_sentence_is_no_name():
    assert "Bridges" not in {gap.answer for gap in gaps("Bridges are what people build over water.")}


def test_what_the_sentence_says_twice_is_not_asked_for():
    assert "1931" not in {gap.answer for gap in gaps("The bridge of 1931 was rebuilt like that of 1931.")}


def test_a_sentence_that_points_back_is_quoted_with_the_one_before():
    (gap,) = (gap for gap in gaps(PASSAGES["clocks"]) if gap.answer == "Klara Weiden")
    assert "museum of clocks in Ansbrook" in gap.before


@given(st.text(max_size=300))
def test_a_gap_and_its_surroundings_stand_in_the_passage(passage):
    words = " ".join(passage.split())
    for gap in gaps(passage):
        assert gap.answer.strip() == gap.answer
        assert gap.answer in passage
        assert " ".join(gap.before.split()).rpartition(". ")[2] in words


@given(st.sampled_from(sorted(PASSAGES)), st.integers())
def test_a_question_quotes_what_is_around_the_gap_and_not_what_is_in_it(name, seed):
    random = Random(seed)
    gap = random.choice(gaps(PASSAGES[name]))
    question = gap_question(gap, random)
    assert question.count("___") == 1
    assert gap.kind in question
    assert gap.answer.casefold() not in question.casefold()


def test_a_passage_has_many_different_questions(rougel):
    random = Random(1)
    made = [gap_question(gap, random) + " " + gap.answer for gap in gaps(PASSAGES["kites"]) for _ in range(3)]
    twins = sum(any(rougel(text, other) > 0.95 for other in made[:at]) for at, text in enumerate(made))
    assert len(made) >= 24
    assert twins < len(made) / 10


@given(st.integers())
def test_a_shortened_passage_still_holds_what_its_question_needs(seed):
    short = shortened(PASSAGES["clocks"], "312", {"clocks", "countries"}, Random(seed))
    assert "It holds 312 clocks from nine countries." in short
    assert len(short) < len(PASSAGES["clocks"])


def test_an_answer_that_runs_over_a_full_stop_keeps_its_passage_whole():
    passage = "He weighs 3. 5 pounds are too much. The end is near. So they say."
    assert shortened(passage, "3. 5 pounds", set(), Random(2)) == passage


def test_a_text_without_sentences_has_no_gaps():
    assert gaps("") == gaps("Oh my.") == []
