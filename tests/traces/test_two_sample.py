import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency
from scipy.stats.contingency import association

from distil_dagster.traces.two_sample import (
    PERMUTATIONS,
    areas_under_curve,
    balanced_cramers_v,
    chi_squares,
    dealt_counts,
    holm,
    permuted_p,
)


def clusters(old: int, new: int, distance: float, seed: int = 0):
    """A kernel of points in a plane, and which are new: those are moved by `distance`."""
    random = np.random.default_rng(seed)
    is_new = np.arange(old + new) >= old
    points = random.normal(size=(old + new, 2)) + distance * is_new[:, None]
    return (points @ points.T).astype(np.float32), is_new


def test_sides_that_differ_are_told_apart_and_others_are_not():
    apart, alike = (areas_under_curve(*clusters(60, 60, distance), np.random.default_rng(0)) for distance in (3.0, 0.0))
    assert len(apart) == len(alike) == PERMUTATIONS + 1
    assert apart[0] > 0.95
    assert permuted_p(apart) == 1 / (PERMUTATIONS + 1)
    assert 0.3 < alike[0] < 0.7
    assert permuted_p(alike) > 0.05


def test_under_the_deals_nothing_is_told_apart():
    areas = areas_under_curve(*clusters(80, 40, 3.0), np.random.default_rng(0))
    assert abs(areas[1:].mean() - 0.5) < 0.03


def test_scores_come_from_folds_that_were_not_fitted():
    """A kernel in which rows resemble only themselves can be learned by heart, and says nothing of other rows."""
    is_new = np.arange(100) >= 50
    areas = areas_under_curve(np.eye(100, dtype=np.float32), is_new, np.random.default_rng(0))
    assert areas[0] < 0.6


def test_p_values_among_equal_samples_are_as_even_as_they_should_be():
    values = [
        permuted_p(areas_under_curve(*clusters(40, 20, 0.0, seed), np.random.default_rng(seed))) for seed in range(60)
    ]
    assert sum(value <= 0.05 for value in values) <= 8
    assert 0.35 < float(np.mean(values)) < 0.65


def test_chi_square_is_that_of_scipy():
    old, new = np.array([30, 5, 12]), np.array([11, 9, 8])
    found = chi_squares(new[None, :], old + new)[0]
    assert found == pytest.approx(chi2_contingency([old, new], correction=False).statistic)


def test_a_table_with_an_empty_side_has_no_chi_square():
    assert chi_squares(np.array([[0, 0]]), np.array([3, 4])).tolist() == [0.0]


def test_deals_keep_the_numbers_of_both_sides():
    totals, observed = np.array([10, 3, 7]), np.array([2, 1, 5])
    deals = np.concatenate(list(dealt_counts(totals, observed, np.random.default_rng(0))))
    assert deals.shape == (PERMUTATIONS + 1, 3)
    assert deals[0].tolist() == observed.tolist()
    assert (deals.sum(axis=1) == 8).all()
    assert (deals <= totals).all()
    assert deals.mean(axis=0) == pytest.approx(8 * totals / 20, abs=0.1)


@given(st.lists(st.integers(1, 50), min_size=2, max_size=6), st.randoms())
def test_cramers_v_of_equally_many_rows_is_that_of_scipy(counts, random):
    old, new = np.array(counts), np.array(random.sample(counts, len(counts)))
    expected = association(np.array([old, new]), method="cramer")
    assert balanced_cramers_v(old, new) == pytest.approx(expected, abs=1e-9)


def test_cramers_v_does_not_depend_on_how_many_rows_there_are():
    old, new = np.array([60, 40]), np.array([30, 70])
    assert balanced_cramers_v(old, new * 100) == pytest.approx(balanced_cramers_v(old, new))


def test_holm_corrects_the_smallest_most_and_keeps_the_order():
    assert holm([0.04, 0.01, 0.5]) == pytest.approx([0.08, 0.03, 0.5])
    assert holm([0.02, 0.021]) == pytest.approx([0.04, 0.04])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=6))
def test_correction_never_lowers_a_p_value_or_passes_one(values):
    assert all(value <= corrected <= 1 for value, corrected in zip(values, holm(values), strict=True))
