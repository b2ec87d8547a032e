from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthesis.teachers import row

from distil_dagster.synthesis.balance import Subject
from distil_dagster.synthesis.demand import Demand


def labels(*names):
    return [Subject(name) for name in names]


def contexts(count):
    return [Subject(context=row(f"text {number}", number)) for number in range(count)]


def ask(demand, brought=(), times=1):
    """Iterations that ask for all that is open; each subject in `brought` brings one example."""
    for _ in range(times):
        plan = list(demand.open_quotas().items())
        asked = [subject for subject, _ in plan]
        found = {subject for subject in brought if subject in asked and demand.take(subject)}
        demand.end_iteration(plan, found, Random(1))


def test_a_full_quota_takes_no_more():
    (bills,) = labels("bills")
    demand = Demand({bills: 2}, passes_on=False, most_in_vain=100)
    assert [demand.take(bills) for _ in range(3)] == [True, True, False]
    assert demand.open_quotas() == {}
    assert demand.stopped() == ""


def test_a_class_is_given_up_after_three_empty_iterations_in_a_row_and_others_go_on():
    bills, parcels = labels("bills", "parcels")
    demand = Demand({bills: 5, parcels: 9}, passes_on=False, most_in_vain=1000)
    ask(demand, brought=[parcels], times=2)
    assert set(demand.open_quotas()) == {bills, parcels}
    ask(demand, brought=[parcels])
    assert demand.open_quotas() == {parcels: 6}
    ask(demand, brought=[parcels], times=6)
    assert demand.stopped() == (
        "5 of 14 examples are missing: 3 iterations in a row brought nothing new for bills (5 missing)"
    )


def test_an_iteration_that_brings_something_starts_the_count_anew():
    (bills,) = labels("bills")
    demand = Demand({bills: 9}, passes_on=False, most_in_vain=1000)
    ask(demand, times=2)
    ask(demand, brought=[bills])
    ask(demand, times=2)
    assert demand.open_quotas() == {bills: 8}


def test_an_iteration_that_does_not_ask_for_a_subject_says_nothing_about_it():
    bills, parcels = labels("bills", "parcels")
    demand = Demand({bills: 5, parcels: 50}, passes_on=False, most_in_vain=1000)
    for _ in range(9):
        demand.end_iteration([(parcels, 1)], {parcels}, Random(1))
    assert bills in demand.open_quotas()


def test_a_context_that_is_given_up_passes_on_what_it_owes():
    dull, *others = contexts(4)
    demand = Demand(dict.fromkeys([dull, *others], 3), passes_on=True, most_in_vain=1000)
    ask(demand, brought=others, times=3)
    assert demand.open_quotas() == dict.fromkeys(others, 1)
    ask(demand, brought=others)
    assert demand.stopped() == ""


def test_contexts_that_no_target_was_left_for_take_over_too():
    dull, spare = contexts(2)
    demand = Demand({dull: 2, spare: 0}, passes_on=True, most_in_vain=1000)
    ask(demand, times=3)
    assert demand.open_quotas() == {spare: 2}


def test_what_is_owed_goes_to_those_that_did_not_come_up_empty_last_time():
    dull, doubtful, willing = contexts(3)
    demand = Demand({dull: 6, doubtful: 6, willing: 6}, passes_on=True, most_in_vain=1000)
    for asked in ([dull], [dull, doubtful], [dull, doubtful]):
        demand.end_iteration([(subject, 1) for subject in asked], set(), Random(1))
    assert demand.open_quotas() == {doubtful: 6, willing: 12}


def test_what_is_owed_is_not_passed_on_where_each_context_has_a_number_of_its_own():
    dull, other = contexts(2)
    demand = Demand({dull: 3, other: 3}, passes_on=False, most_in_vain=1000)
    ask(demand, brought=[other], times=3)
    assert demand.open_quotas() == {}
    assert demand.stopped().endswith("brought nothing new for unstructured.jsonl:0 (3 missing)")


def test_the_reason_names_a_few_and_counts_the_rest():
    demand = Demand(dict.fromkeys(contexts(20), 1), passes_on=False, most_in_vain=1000)
    ask(demand, times=3)
    assert demand.stopped() == (
        "20 of 20 examples are missing: 3 iterations in a row brought nothing new for "
        "unstructured.jsonl:0 (1 missing), unstructured.jsonl:1 (1 missing), unstructured.jsonl:2 (1 missing) "
        "and 17 more"
    )


def test_a_task_without_labels_is_given_up_without_a_name():
    demand = Demand({Subject(): 7}, passes_on=False, most_in_vain=1000)
    ask(demand, times=3)
    assert demand.stopped() == "7 of 7 examples are missing: 3 iterations in a row brought nothing new"


@pytest.mark.parametrize("passes_on", [True, False])
def test_a_teacher_that_fails_at_every_context_is_not_asked_about_each(passes_on):
    many = contexts(1000)
    demand = Demand(dict.fromkeys(many, 1), passes_on=passes_on, most_in_vain=60)
    iterations = 0
    while quotas := demand.open_quotas():
        demand.end_iteration(list(quotas.items())[:10], set(), Random(1))
        iterations += 1
    assert iterations == 6
    assert demand.stopped() == "1000 of 1000 examples are missing: 6 iterations in a row brought nothing new"


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.data(), st.integers())
def test_what_is_taken_and_what_is_missing_add_up_to_the_target(quotas, data, seed):
    subjects = contexts(len(quotas))
    demand = Demand(dict(zip(subjects, quotas, strict=True)), passes_on=True, most_in_vain=10**6)
    alive = data.draw(st.sets(st.sampled_from(subjects)))
    random, taken = Random(seed), 0
    while open_quotas := demand.open_quotas():
        brought = {subject for subject in open_quotas if subject in alive and demand.take(subject)}
        taken += len(brought)
        demand.end_iteration(list(open_quotas.items()), brought, random)
    assert taken == (sum(quotas) if alive else 0)
    assert bool(demand.stopped()) == (taken < sum(quotas))
