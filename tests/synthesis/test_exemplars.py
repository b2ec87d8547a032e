from random import Random

import pytest
from synthesis.teachers import example, row

from distil_dagster.config.sections import Synthgen
from distil_dagster.synthesis.balance import Subject
from distil_dagster.synthesis.exemplars import ExemplarPool

MANY = Synthgen(
    num_positive_exemplars_per_generation=50,
    num_negative_exemplars_per_generation=50,
    num_unlabelled_exemplars_per_generation=50,
)


@pytest.fixture
def texts():
    return [row(f"unlabelled {number}", number) for number in range(3)]


def test_positives_are_of_the_class_asked_for_and_negatives_of_all_others(task, texts):
    train = [example(f"{label} {n}", label) for label in ("bills", "parcels", "garden") for n in range(2)]
    drawn = ExemplarPool(task, train, texts).draw(Subject("bills"), MANY, Random(1))
    assert {each.answer for each in drawn.positives} == {"bills"}
    assert len(drawn.positives) == 2
    assert {each.answer for each in drawn.negatives} == {"parcels", "garden"}
    assert len(drawn.negatives) == 4
    assert len(drawn.unlabelled) == 3


def test_a_conversation_is_shown_for_each_of_its_tools_and_tools_have_no_counter_examples(boat_task, boat_hire):
    search_only = boat_hire(3).model_copy(update={"messages": boat_hire(3).messages[:2]})
    train = [search_only, boat_hire(4)]
    pool = ExemplarPool(boat_task, train, [])
    assert len(pool.draw(Subject("find_boat"), MANY, Random(1)).positives) == 2
    hiring = pool.draw(Subject("hire_boat"), MANY, Random(1))
    assert hiring.positives == [train[1]]
    assert hiring.negatives == []


def test_a_tool_that_no_seed_calls_has_no_positives(boat_task, boat_hire):
    search_only = boat_hire(3).model_copy(update={"messages": boat_hire(3).messages[:2]})
    assert ExemplarPool(boat_task, [search_only], []).draw(Subject("hire_boat"), MANY, Random(1)).positives == []


def test_a_call_with_a_context_shows_any_seeds_and_other_texts_but_that_one(task, texts):
    train = [example(f"question {n}", "bills") for n in range(3)]
    repeated = row("unlabelled 0", 9)
    drawn = ExemplarPool(task, train, [*texts, repeated]).draw(Subject(context=texts[0]), MANY, Random(1))
    assert len(drawn.positives) == 3
    assert drawn.negatives == []
    assert sorted(each.text for each in drawn.unlabelled) == ["unlabelled 1", "unlabelled 2"]


def test_no_more_are_drawn_than_the_settings_say_and_each_once(task, texts):
    train = [example(f"question {n}", "bills", f"train.jsonl:{n}") for n in range(9)]
    settings = Synthgen(num_positive_exemplars_per_generation=4, num_unlabelled_exemplars_per_generation=1)
    drawn = ExemplarPool(task, train, texts).draw(Subject(), settings, Random(1))
    assert len({each.source for each in drawn.positives}) == 4
    assert len(drawn.sources) == 5
