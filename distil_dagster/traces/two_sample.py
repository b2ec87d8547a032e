"""The mathematics of comparing two samples by permutation: what would be seen were their rows dealt anew.

A permutation's p-value is the share of deals, the observed one included, that differ as much. It is exact: among
samples of one distribution, p ≤ x happens in at most a share x of cases, whatever the distribution.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

PERMUTATIONS = 4_999
"""The smallest p-value is 1/5,000: below the smallest `drift_alpha` even after correction for four tests."""

_AT_ONCE = 500
_RIDGE = 10.0
_FOLDS = 5


def permuted_p(statistics: NDArray) -> float:
    """The p-value of the first statistic among those of all deals; equal ones, but for rounding, count as more."""
    return float((statistics >= statistics[0] - 1e-9 * abs(statistics[0])).mean())


def areas_under_curve(kernel: NDArray, is_new: NDArray, random: Generator) -> NDArray:
    """How well a classifier tells the rows of two sides apart, as they are and under `PERMUTATIONS` deals.

    `kernel` (n, n) says how alike rows are, `is_new` (n,) which side each is on. Each area (1 + PERMUTATIONS,) is that
    of scores on folds that kernel ridge regression was not fitted on: for given folds these are one matrix times the
    sides, so that a deal costs a product and no fit.
    """
    import numpy as np
    from scipy.stats import rankdata

    fold = random.permutation(len(is_new)) % _FOLDS
    weights = [(fold == number, _fold_weights(kernel, fold == number)) for number in range(_FOLDS)]
    areas = []
    for sides in _dealt(is_new, random):
        scores = np.empty(sides.shape, dtype=np.float32)
        for held_out, weight in weights:
            fitted = sides[~held_out]
            scores[held_out] = weight @ (fitted - fitted.mean(axis=0))
        ranks = rankdata(scores, axis=0)
        new = int(is_new.sum())
        pairs = new * (len(is_new) - new)
        areas.append(((ranks * sides).sum(axis=0) - new * (new + 1) / 2) / pairs)
    return np.concatenate(areas)


def dealt_counts(totals: NDArray, observed: NDArray, random: Generator) -> Iterator[NDArray]:
    """How many rows of each kind are on the new side, as observed and under `PERMUTATIONS` deals, in blocks.

    As good as permuting rows, and quicker where many are of one kind. `totals` and `observed` are (kinds,), each block
    (deals, kinds).
    """
    yield observed[None, :]
    for start in range(0, PERMUTATIONS, _AT_ONCE):
        deals = min(_AT_ONCE, PERMUTATIONS - start)
        yield random.multivariate_hypergeometric(totals, int(observed.sum()), size=deals, method="marginals")


def chi_squares(new: NDArray, totals: NDArray) -> NDArray:
    """Pearson's chi-square of each 2×k table whose one row is a row of `new` (deals, k) and whose sum is `totals` (k,).

    A table with an empty row has none, and gives 0.
    """
    import numpy as np

    share = new.sum(axis=1, keepdims=True) / totals.sum()
    squares = ((new - share * totals) ** 2 / totals).sum(axis=1, keepdims=True)
    spread = share * (1 - share)
    return np.divide(squares, spread, out=np.zeros_like(squares), where=spread > 0)[:, 0]


def balanced_cramers_v(old: NDArray, new: NDArray) -> float:
    """Cramér's V of a 2×k table as it would be with as many new as old: it does not fall where one side is small.

    With shares p and q it is the root of ½ Σ (p − q)² / (p + q): 0 for equal shares, 1 where none is shared.
    """
    p, q = old / max(1.0, old.sum()), new / max(1.0, new.sum())
    return float((((p - q) ** 2 / (p + q)).sum() / 2) ** 0.5)


def holm(p_values: list[float]) -> list[float]:
    """The p-values corrected for there being several, in their order.

    Source: S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian J. of Statistics 6 (1979).
    """
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected


def _fold_weights(kernel: NDArray, held_out: NDArray) -> NDArray:
    """What each fitted row's side adds to the scores of the held-out rows, (held out, fitted)."""
    import numpy as np

    fitted = kernel[~held_out][:, ~held_out] + _RIDGE * np.eye(int((~held_out).sum()), dtype=kernel.dtype)
    return np.linalg.solve(fitted, kernel[~held_out][:, held_out]).T


def _dealt(is_new: NDArray, random: Generator) -> Iterator[NDArray]:
    """The sides as they are, then dealt anew, as columns of 0 and 1 in blocks."""
    import numpy as np

    sides = is_new.astype(np.float32)
    yield sides[:, None]
    for start in range(0, PERMUTATIONS, _AT_ONCE):
        deals = min(_AT_ONCE, PERMUTATIONS - start)
        yield random.permuted(np.repeat(sides[:, None], deals, axis=1), axis=0)
