from random import Random

import pytest
from simulator.invented import PASSAGES

from distil_dagster.simulator.comparing import normalised
from distil_dagster.simulator.folders import knowledge_of
from distil_dagster.simulator.knowledge import Wanted
from distil_dagster.tasks.open_book import Asked, read_asked

HELD_OUT = "where does the hall of kites stand?"


@pytest.fixture(scope="module")
def museum(museum_folder):
    return knowledge_of(museum_folder)


@pytest.fixture(scope="module")
def facts(facts_folder):
    return knowledge_of(facts_folder)


@pytest.fixture(scope="module")
def reading(reading_folder):
    return knowledge_of(reading_folder)


def rows(knowledge, count=8, seed=1, **wanted):
    return knowledge.examples(Wanted(count, **wanted), Random(seed))


class TestClasses:
    def test_new_examples_do_not_repeat_known_questions(self, gold):
        known = {normalised(question) for question in ("Where is my card?", "My new card is late.")}
        made = rows(gold, 40, label="card_arrival")
        assert [row["answer"] for row in made] == ["card_arrival"] * 40
        assert not known & {normalised(row["question"]) for row in made}

    def test_exemplars_are_used_only_where_there_is_nothing_else(self, gold):
        shown = frozenset({"how do i change my pin?"})
        assert all(
            "pick a new pin" in row["question"].casefold() for row in rows(gold, label="change_pin", shown=shown)
        )
        every = shown | {"how do i pick a new pin?"}
        assert len(rows(gold, 3, label="change_pin", shown=every)) == 3

    def test_a_class_without_questions_gives_no_examples(self, gold):
        assert rows(gold, label="no_such_class") == []

    def test_wrong_examples_are_questions_of_other_classes(self, gold):
        made = gold.wrong_examples(Wanted(20, label="change_pin"), Random(1))
        assert {row["answer"] for row in made} == {"change_pin"}
        assert not any("pin" in row["question"].casefold() for row in made)


class TestPassages:
    @pytest.mark.parametrize("name", sorted(PASSAGES))
    def test_every_answer_stands_in_the_passage(self, museum, name):
        made = rows(museum, 60, context=PASSAGES[name])
        assert len(made) == 60
        assert all(row["answer"] in PASSAGES[name] for row in made)

    def test_known_pairs_of_the_passage_are_among_them_and_none_of_another(self, museum):
        made = rows(museum, 60, context=PASSAGES["kites"])
        asked = [row for row in made if "___" not in row["question"]]
        assert {row["answer"] for row in asked} == {"Emil Santer", "27 metres"}
        assert 15 < len(asked) < 45

    def test_a_question_without_a_passage_of_its_own_belongs_where_its_words_and_answer_stand(self, facts):
        made = rows(facts, 60, context=PASSAGES["clocks"])
        assert {row["answer"] for row in made if "___" not in row["question"]} == {"1894", "312"}

    def test_no_test_question_is_given(self, museum):
        made = [row for seed in range(20) for row in rows(museum, 8, seed, context=PASSAGES["kites"])]
        assert not any(HELD_OUT in normalised(row["question"]) for row in made)

    def test_a_passage_that_nothing_is_known_of_is_asked_about_all_the_same(self, museum):
        passage = "The mill on the river Orl was bought by Jon Hemmer in 1977."
        assert {row["answer"] for row in rows(museum, 30, context=passage)} >= {"Orl", "Jon Hemmer", "1977"}

    def test_a_passage_without_sentences_gives_nothing(self, facts):
        assert rows(facts, context="Oh.") == []

    def test_calls_for_one_passage_draw_differently(self, museum, rougel):
        made = [
            row["question"] + row["answer"]
            for seed in range(6)
            for row in rows(museum, 4, seed, context=PASSAGES["clocks"])
        ]
        twins = sum(any(rougel(text, other) > 0.95 for other in made[:at]) for at, text in enumerate(made))
        assert twins <= 2

    def test_wrong_examples_have_answers_to_other_questions(self, museum):
        right = rows(museum, 20, context=PASSAGES["clocks"])
        wrong = museum.wrong_examples(Wanted(20, context=PASSAGES["clocks"]), Random(1))
        assert [row["question"] for row in wrong] == [row["question"] for row in right]
        assert not any(one["answer"] == other["answer"] for one, other in zip(wrong, right, strict=True))


class TestQuestionAnswering:
    def test_inputs_keep_their_form_and_their_passage_the_answer(self, reading):
        for row in rows(reading, 60):
            asked = read_asked(row["question"])
            assert isinstance(asked, Asked)
            assert row["answer"] in asked.context

    def test_some_ask_what_is_known_and_some_what_the_passage_says_besides(self, reading):
        gaps = sum("___" in row["question"] for row in rows(reading, 60))
        assert 15 < gaps < 45

    def test_they_differ_from_what_they_are_made_of(self, reading, rougel):
        known = [
            f"Context: {passage}\n\nQuestion: When was the museum of clocks founded? 1894"
            for passage in PASSAGES.values()
        ]
        made = [f"{row['question']} {row['answer']}" for row in rows(reading, 40)]
        assert not any(rougel(text, other) > 0.95 for text in made for other in known)

    def test_a_short_input_is_reworded_as_a_whole(self, facts):
        made = rows(facts, 12)
        assert {row["answer"] for row in made} == {"1894", "312", "Emil Santer"}
        assert len({row["question"] for row in made}) == 12


def test_the_same_draw_gives_the_same_examples(museum, gold):
    assert rows(museum, context=PASSAGES["kites"]) == rows(museum, context=PASSAGES["kites"])
    assert rows(gold, label="change_pin") == rows(gold, label="change_pin")
    assert rows(gold, label="change_pin") != rows(gold, label="change_pin", seed=2)
