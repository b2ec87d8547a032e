from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthesis.teachers import row

from distil_dagster.synthesis.balance import Subject, context_quotas, label_quotas, plan_iteration, shares

LABELS = st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=8, unique=True)


@given(st.integers(0, 10_000), LABELS)
def test_equal_quotas_differ_by_at_most_one_and_add_up(target, labels):
    quotas = label_quotas(target, labels, None)
    assert list(quotas) == [Subject(label) for label in labels]
    assert sum(quotas.values()) == target
    assert max(quotas.values()) - min(quotas.values()) <= 1


@given(st.integers(0, 1000), st.lists(st.integers(0, 50), min_size=1, max_size=12))
def test_proportional_shares_add_up_and_are_off_by_less_than_one(target, weights):
    found = shares(target, weights)
    assert sum(found) == target
    total = sum(weights)
    if total:
        assert all(abs(share - target * weight / total) < 1 for share, weight in zip(found, weights, strict=True))


def test_quotas_follow_the_seeds_where_asked_to():
    assert label_quotas(10, ["a", "b"], {"a": 3, "b": 1}) == {Subject("a"): 8, Subject("b"): 2}
    assert label_quotas(10, [], None) == {Subject(): 10}


def test_a_class_without_a_seed_gets_no_quota_where_quotas_follow_the_seeds():
    assert label_quotas(4, ["a", "b"], {"a": 1}) == {Subject("a"): 4, Subject("b"): 0}


@pytest.mark.parametrize("target", [0, 3, 10, 25])
def test_a_target_is_spread_over_all_contexts(target):
    quotas = context_quotas(target, None, [row(f"text {n}", n) for n in range(10)], Random(1))
    assert len(quotas) == 10
    assert sum(quotas.values()) == target
    assert max(quotas.values()) - min(quotas.values()) <= 1


def test_a_small_target_is_not_met_from_the_first_contexts_alone():
    contexts = [row(f"text {n}", n) for n in range(100)]
    used = {
        subject.context.source
        for seed in range(5)
        for subject, count in context_quotas(10, None, contexts, Random(seed)).items()
        if count
    }
    assert len(used) > 30


def test_a_number_from_each_context_is_the_quota_of_each():
    contexts = [row(f"text {n}", n) for n in range(7)]
    assert context_quotas(10, 3, contexts, Random(1)) == {Subject(context=context): 3 for context in contexts}


@given(
    st.dictionaries(st.builds(Subject, st.text(max_size=2)), st.integers(0, 40), max_size=6),
    st.integers(1, 64),
    st.integers(1, 8),
    st.integers(),
)
def test_a_plan_asks_for_no_more_than_is_missing_or_fits(missing, size, in_call, seed):
    plan = plan_iteration(missing, size, in_call, Random(seed))
    asked = Counter()
    for subject, count in plan:
        assert 1 <= count <= in_call
        asked[subject] += count
    assert all(asked[subject] <= count for subject, count in missing.items())
    assert asked.total() == min(size, sum(missing.values()))
