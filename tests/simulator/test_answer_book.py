import pytest
from simulator.invented import BELL, CHAIN, DEAR, LAMP, as_messages, open_book, repair, say

from distil_dagster.simulator.answer_book import AnswerBook
from distil_dagster.simulator.known import Known, read_known
from distil_dagster.simulator.turns import Turn, turns_of


def user(text):
    return Turn("user", text)


def exchange(question, answer, context=None):
    return Known((user(question), Turn("assistant", answer)), (answer,), context)


def conversation(turns):
    return Known(turns_of(as_messages(turns)), tuple(turn for turn in turns if isinstance(turn, dict)))


@pytest.fixture(scope="module")
def counter():
    return AnswerBook([conversation(LAMP), conversation(CHAIN), conversation(BELL)])


@pytest.fixture(scope="module")
def museum(museum_folder):
    folder = read_known(museum_folder)
    return AnswerBook([*folder.test, *folder.logged_known])


def turns(*shown):
    return turns_of(as_messages(shown))


@pytest.mark.parametrize("known", [CHAIN, BELL, LAMP])
def test_every_turn_of_a_known_conversation_has_its_own_answer(counter, known):
    for at, turn in enumerate(known):
        if isinstance(turn, dict):
            assert counter.answer(turns(*known[:at])) == turn


def test_all_answers_of_a_conversation_are_known_although_it_shows_none(counter):
    shown = [("assistant", "<answer>") if isinstance(turn, dict) else turn for turn in CHAIN]
    assert counter.answers(turns(*shown)) == [turn for turn in CHAIN if isinstance(turn, dict)]
    assert counter.answers(turns(*shown[:4])) == [CHAIN[1], CHAIN[3]]


def test_without_an_assistant_turn_there_is_nothing_to_answer(counter):
    assert counter.answers(turns(CHAIN[0])) == []


def test_earlier_conversations_in_the_request_are_examples_and_no_history(counter):
    assert counter.answer(turns(*BELL, *CHAIN[:7])) == repair("chain", "Tuesday")


def test_wrong_answers_in_the_history_lead_nobody_astray(counter):
    history = [CHAIN[0], say("Go away."), CHAIN[2], repair("bell", "Monday"), CHAIN[4], say("No."), CHAIN[6]]
    assert counter.answer(turns(*history)) == repair("chain", "Tuesday")


def test_the_same_last_turn_is_answered_by_the_history_that_is_closest(counter):
    assert (
        counter.answer(turns(("user", "Hello, my chain jumps a lot."), say("?"), ("user", "Yes please."))) == CHAIN[-1]
    )
    assert counter.answer(turns(("user", "So, is my lamp done?"), say("?"), ("user", "Yes please."))) == LAMP[-1]


def test_a_tools_result_may_come_as_a_user_turn(counter):
    history = [*CHAIN[:4], ("user", f"<tool_result>\n{DEAR}\n</tool_result>")]
    assert counter.answer(turns(*history)) == CHAIN[5]


def test_a_rewording_is_answered_like_the_known_text_that_is_most_like_it():
    book = AnswerBook([exchange("My card", "cards"), exchange("My card was stolen on the train", "theft")])
    assert book.answer((user("Hello, my card was stolen on the train yesterday"),)) == "theft"
    assert book.answer((user("Hello, my card!"),)) == "cards"


def test_what_is_like_nothing_known_has_no_answer(counter):
    assert counter.answer((user("Xyzzy plugh"),)) is None
    assert counter.answer(()) is None
    assert counter.answers((user("Xyzzy plugh"), Turn("assistant", "x"))) is None


def test_of_two_that_ask_the_same_the_earlier_counts():
    assert AnswerBook([exchange("Q?", "first"), exchange("q ?", "second")]).answer((user("Q?"),)) == "first"


def test_a_question_is_answered_with_and_without_its_passage(museum):
    question = "How many clocks does the museum hold?"
    assert museum.answer((user(question),)) == museum.answer((user(open_book("clocks", question)),)) == "312"


def test_the_same_question_about_two_passages_has_two_answers():
    known = [
        exchange("When was it built?", year, context) for year, context in (("1902", "A mill."), ("1871", "A barn."))
    ]
    book = AnswerBook(known)
    assert book.answer((user("Context: A barn.\n\nQuestion: When was it built?"),)) == "1871"
    assert book.answer((user("Context: A shed.\n\nA barn.\n\nA quay.\n\nQuestion: When was it built?"),)) == "1871"


def test_a_reworded_question_about_a_passage_is_answered_like_the_closest_about_it(museum):
    asked = open_book("kites", "Well, tell me how large is the very largest kite?")
    assert museum.answer((user(asked),)) == "27 metres"


def test_a_question_that_holds_its_passage_is_told_from_others_about_it(reading_folder):
    folder = read_known(reading_folder)
    book = AnswerBook([*folder.test, *folder.train])
    assert book.answer((user(open_book("clocks", "So, how many clocks does this museum hold?")),)) == "312"
    assert book.answer((user(open_book("kites", "Who rebuilt the hall of kites?")),)) == "Emil Santer"


def test_a_passage_that_is_not_known_has_no_answers(museum):
    assert museum.answer((user("Context: Nothing of the kind.\n\nQuestion: Xyzzy plugh?"),)) is None
