import pytest
from simulator.invented import BELL, CHAIN, as_messages, price

from distil_dagster.simulator.known import Logged, read_known
from distil_dagster.simulator.score_book import ScoreBook
from distil_dagster.simulator.turns import Turn, turns_of


def logged(question, answer, noise):
    turns = (Turn("user", question), Turn("assistant", answer)) if answer is not None else (Turn("user", question),)
    return Logged(turns, noise, None)


def scores(book, turns):
    found = book.scores(turns)
    return found.relevance, found.coherence


@pytest.mark.parametrize(
    ("noise", "expected"),
    [
        ("clean", (5, 5)),
        ("duplicate", (5, 5)),
        ("wrong_label", (5, 4)),
        ("irrelevant", (1, 4)),
        ("corrupted", (4, 1)),
        ("some_oddity", (3, 3)),
    ],
)
def test_scores_follow_from_the_noise(noise, expected):
    trace = logged("Where?", "here", noise)
    assert scores(ScoreBook([trace]), trace.turns) == expected


def test_an_odd_trace_with_a_right_answer_is_sound(counter_folder):
    _, clean, _ = read_known(counter_folder).logged
    odd = Logged(clean.turns, "developer_role", clean.known)
    assert scores(ScoreBook([odd]), odd.turns) == (5, 5)


def test_one_question_with_two_answers_has_two_scores():
    book = ScoreBook([logged("Where?", "here", "clean"), logged("where ?", "h", "corrupted")])
    assert scores(book, logged("Where?", "HERE", "").turns) == (5, 5)
    assert scores(book, logged("Where?", "h", "").turns) == (4, 1)


def test_an_answer_that_is_not_known_is_scored_by_the_question_at_its_best():
    book = ScoreBook([logged("Where?", "h", "corrupted"), logged("Where?", "here", "clean")])
    assert scores(book, logged("Where?", "elsewhere", "").turns) == (5, 5)
    assert scores(book, logged("Where?", None, "").turns) == (5, 5)


def test_a_conversation_is_scored_as_a_whole(counter_folder):
    book = ScoreBook(read_known(counter_folder).logged)
    wrong = [price("saddle") if turn == price("chain") else turn for turn in CHAIN]
    garbled = [("user", "H%llo, m@ b#ll \ufffd"), *BELL[1:]]
    assert scores(book, turns_of(as_messages(wrong))) == (5, 4)
    assert scores(book, turns_of(as_messages(BELL))) == (5, 5)
    assert scores(book, turns_of(as_messages(garbled))) == (4, 1)


def test_a_conversation_that_is_not_known_is_neither_praised_nor_damned():
    assert scores(ScoreBook([]), ()) == (3, 3)
