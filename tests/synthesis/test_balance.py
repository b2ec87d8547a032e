from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.synthesis.balance import plan_iteration, quotas

LABELS = st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=8, unique=True)


@given(st.integers(0, 10_000), LABELS)
def test_equal_quotas_differ_by_at_most_one_and_add_up(target, labels):
    shares = quotas(target, labels, None)
    assert sum(shares.values()) == target
    assert max(shares.values()) - min(shares.values()) <= 1


@given(st.integers(0, 1000), st.dictionaries(st.text(max_size=3), st.integers(0, 50), min_size=1))
def test_proportional_quotas_add_up_and_are_off_by_less_than_one(target, counts):
    shares = quotas(target, list(counts), counts)
    assert sum(shares.values()) == target
    total = sum(counts.values())
    if total:
        assert all(abs(shares[label] - target * count / total) < 1 for label, count in counts.items())


def test_quotas_follow_the_seeds_where_asked_to():
    assert quotas(10, ["a", "b"], {"a": 3, "b": 1}) == {"a": 8, "b": 2}
    assert quotas(10, [], None) == {None: 10}


@given(
    st.dictionaries(st.text(max_size=2), st.integers(0, 40), max_size=6),
    st.integers(1, 64),
    st.integers(1, 8),
    st.integers(),
)
def test_a_plan_asks_for_no_more_than_is_missing_or_fits(missing, size, in_call, seed):
    plan = plan_iteration(missing, size, in_call, Random(seed))
    asked = Counter()
    for call in plan:
        assert 1 <= call.count <= in_call
        asked[call.label] += call.count
    assert all(asked[label] <= count for label, count in missing.items())
    assert asked.total() == min(size, sum(missing.values()))
