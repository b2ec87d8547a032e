from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distil_dagster.evaluation.statistics import compare, estimate, mcnemar_exact, wilson_interval


@pytest.mark.parametrize(
    ("successes", "count", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_intervals_equal_the_published_table(successes: int, count: int, low: float, high: float) -> None:
    # R. G. Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I, method 3.
    interval = wilson_interval(successes, count)
    assert interval.low == pytest.approx(low, abs=5e-5)
    assert interval.high == pytest.approx(high, abs=5e-5)


def test_wilson_intervals_are_symmetric_and_stay_within_zero_and_one() -> None:
    assert wilson_interval(10, 10).high == 1.0
    assert wilson_interval(0, 10).low == 0.0
    assert wilson_interval(3, 10).low == pytest.approx(1 - wilson_interval(7, 10).high)


@pytest.mark.parametrize(("successes", "count"), [(1, 0), (-1, 3), (4, 3)])
def test_what_is_no_proportion_has_no_interval(successes: int, count: int) -> None:
    with pytest.raises(ValueError, match="not a proportion"):
        wilson_interval(successes, count)


@pytest.mark.parametrize(
    ("better", "worse", "p_value"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (5, 0, 2 / 32),
        (1, 9, 2 * 11 / 1024),
        (2, 8, 2 * 56 / 1024),
        (4, 4, 1.0),
        (121, 59, 4.434e-06),
    ],
)
def test_mcnemar_equals_known_values(better: int, worse: int, p_value: float) -> None:
    assert mcnemar_exact(better, worse) == pytest.approx(p_value, rel=1e-3)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_symmetric_and_a_probability(better: int, worse: int) -> None:
    assert mcnemar_exact(better, worse) == mcnemar_exact(worse, better)
    assert 0.0 < mcnemar_exact(better, worse) <= 1.0


def test_mcnemar_stays_exact_where_powers_of_two_leave_floating_point() -> None:
    assert 0.0 <= mcnemar_exact(500, 1_500) < 1e-100
    assert mcnemar_exact(1_000, 1_001) == 1.0


def test_an_estimate_of_a_binary_metric_has_wilsons_interval() -> None:
    result = estimate([1.0, 0.0, None, 1.0], binary=True)
    assert (result.mean, result.count, result.missing, result.method) == (2 / 3, 3, 1, "wilson")
    assert result.interval == wilson_interval(2, 3)


def test_an_estimate_of_another_metric_has_a_bootstrap_interval_around_its_mean() -> None:
    random = Random(3)
    scores = [random.random() for _ in range(200)]
    result = estimate(scores, binary=False, seed=7)
    mean = sum(scores) / 200
    # The normal approximation is good at 200 rows: half of 1.96 standard errors each way, within 5%.
    deviation = (sum((score - mean) ** 2 for score in scores) / 200) ** 0.5
    assert result.method == "bootstrap"
    assert result.interval.high - result.interval.low == pytest.approx(2 * 1.96 * deviation / 200**0.5, rel=0.05)
    assert result.interval.low < result.mean < result.interval.high


def test_equal_seeds_give_equal_intervals_and_other_seeds_give_others() -> None:
    scores = [0.1, 0.5, 0.9, 0.3, 0.72]
    assert estimate(scores, binary=False, seed=1) == estimate(scores, binary=False, seed=1)
    assert estimate(scores * 7, binary=False, seed=1) != estimate(scores * 7, binary=False, seed=2)


def test_scores_that_are_all_missing_have_no_estimate() -> None:
    with pytest.raises(ValueError, match="no score is known"):
        estimate([None, None], binary=True)


def test_a_binary_metric_has_no_fractions() -> None:
    with pytest.raises(ValueError, match=r"not 0\.5"):
        estimate([1.0, 0.5], binary=True)


def test_a_comparison_counts_the_rows_that_got_better_and_worse() -> None:
    result = compare([1.0, 1.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 1.0, 0.0], binary=True)
    assert (result.better, result.worse, result.rows, result.test) == (3, 1, 5, "mcnemar")
    assert result.difference == pytest.approx(0.4)
    assert result.p_value == mcnemar_exact(3, 1)


def test_a_comparison_leaves_out_rows_that_one_of_the_models_has_no_score_for() -> None:
    result = compare([1.0, None, 1.0], [0.0, 0.0, None], binary=True)
    assert (result.rows, result.difference) == (1, 1.0)


def test_the_paired_bootstrap_sees_a_small_difference_that_is_on_every_row() -> None:
    random = Random(5)
    second = [random.random() * 0.9 for _ in range(100)]
    first = [score + random.random() * 0.02 for score in second]
    result = compare(first, second, binary=False)
    assert result.test == "paired_bootstrap"
    assert result.direction == "up"
    assert result.p_value < 0.001


def test_equal_models_do_not_differ() -> None:
    scores = [0.1, 0.4, 0.8]
    result = compare(scores, scores, binary=False)
    assert (result.difference, result.p_value, result.direction) == (0.0, 1.0, "unclear")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_swapping_the_models_turns_the_comparison_round(pairs: list[tuple[float, float]]) -> None:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    one, other = compare(first, second, binary=False), compare(second, first, binary=False)
    assert one.difference == pytest.approx(-other.difference)
    assert one.interval.low == pytest.approx(-other.interval.high, abs=1e-12)
    assert one.p_value == pytest.approx(other.p_value)
    assert (one.better, one.worse) == (other.worse, other.better)


def test_models_of_different_rows_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="longer"):
        compare([1.0], [1.0, 0.0], binary=True)
    with pytest.raises(ValueError, match="no row"):
        compare([None], [1.0], binary=True)
