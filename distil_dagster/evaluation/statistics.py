"""How sure the figures are: intervals of means, and paired comparisons of two models on the same rows.

All resampling is seeded: the same scores give the same interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, sqrt
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 10_000
_RESAMPLES_AT_ONCE = 500
_NORMAL_975 = 1.959963984540054


@dataclass(frozen=True)
class Interval:
    """A 95% interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """The mean of `count` known scores with its 95% interval; the `missing` ones could not be had and do not count."""

    mean: float
    interval: Interval
    count: int
    missing: int
    method: Literal["wilson", "bootstrap"]


@dataclass(frozen=True)
class Comparison:
    """Two models on the rows that both have a score for: mean of first minus second, with its 95% interval.

    `better` and `worse` count the rows on which the first scores above or below the second. `p_value` is two-sided.
    """

    difference: float
    interval: Interval
    p_value: float
    rows: int
    better: int
    worse: int
    test: Literal["mcnemar", "paired_bootstrap"]

    @property
    def direction(self) -> Literal["up", "down", "unclear"]:
        """Where the whole interval lies: above zero, below it, or on both sides."""
        if self.interval.low > 0:
            return "up"
        return "down" if self.interval.high < 0 else "unclear"


def estimate(scores: Sequence[float | None], binary: bool, seed: int = 0) -> Estimate:
    """The mean and its 95% interval: Wilson's for scores of 0 and 1, the percentile bootstrap's for others.

    Raises ValueError where no score is known, or where a binary one is neither 0 nor 1.
    """
    known = [score for score in scores if score is not None]
    if not known:
        raise ValueError("no score is known")
    if binary:
        return Estimate(
            mean=sum(known) / len(known),
            interval=wilson_interval(_successes(known), len(known)),
            count=len(known),
            missing=len(scores) - len(known),
            method="wilson",
        )
    means = _resampled_means(known, seed)
    return Estimate(
        mean=sum(known) / len(known),
        interval=_percentile_interval(means),
        count=len(known),
        missing=len(scores) - len(known),
        method="bootstrap",
    )


def compare(first: Sequence[float | None], second: Sequence[float | None], binary: bool, seed: int = 0) -> Comparison:
    """Compare two models row by row: McNemar's exact test for scores of 0 and 1, the paired bootstrap for others.

    The interval of the difference is the percentile bootstrap's in both cases. Raises ValueError where the models have
    different numbers of rows, or no row that both have a score for.
    """
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    if not pairs:
        raise ValueError("no row has a score of both models")
    differences = [a - b for a, b in pairs]
    better = sum(difference > 0 for difference in differences)
    worse = sum(difference < 0 for difference in differences)
    means = _resampled_means(differences, seed)
    return Comparison(
        difference=sum(differences) / len(differences),
        interval=_percentile_interval(means),
        p_value=mcnemar_exact(better, worse) if binary else _bootstrap_p_value(means),
        rows=len(pairs),
        better=better,
        worse=worse,
        test="mcnemar" if binary else "paired_bootstrap",
    )


def wilson_interval(successes: int, count: int) -> Interval:
    """Wilson's 95% score interval of a proportion, without continuity correction.

    Source: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22 (1927); in the
    form of L. D. Brown, T. T. Cai and A. DasGupta, "Interval Estimation for a Binomial Proportion" (2001), equation 4.
    """
    if count < 1 or not 0 <= successes <= count:
        raise ValueError(f"{successes} of {count} is not a proportion")
    z_squared = _NORMAL_975**2
    share = successes / count
    centre = (successes + z_squared / 2) / (count + z_squared)
    half = _NORMAL_975 * sqrt(count) / (count + z_squared) * sqrt(share * (1 - share) + z_squared / (4 * count))
    return Interval(low=max(0.0, centre - half), high=min(1.0, centre + half))


def mcnemar_exact(better: int, worse: int) -> float:
    """Two-sided p-value that as many discordant rows as these fall this unevenly by chance.

    It is min(1, 2 · P(X ≤ min(better, worse))) with X binomial(better + worse, ½); 1.0 where no row is discordant.

    Source: Q. McNemar, "Note on the Sampling Error of the Difference between Correlated Proportions or Percentages",
    Psychometrika 12 (1947), in its exact binomial form.
    """
    discordant = better + worse
    tail = sum(comb(discordant, k) for k in range(min(better, worse) + 1))
    # Python divides integers of any size correctly, so large tests neither overflow nor lose digits.
    return min(1.0, 2 * tail / 2**discordant)


def _successes(scores: Sequence[float]) -> int:
    strange = next((score for score in scores if score not in (0.0, 1.0)), None)
    if strange is not None:
        raise ValueError(f"a binary metric has scores of 0 and 1, not {strange}")
    return int(sum(scores))


def _resampled_means(values: Sequence[float], seed: int) -> NDArray:
    """Means of `RESAMPLES` samples drawn with replacement, sorted; in blocks, to keep memory small.

    Source: B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13. Rows of both models
    are drawn together, as in P. Koehn, "Statistical Significance Tests for Machine Translation Evaluation" (2004).
    """
    import numpy as np

    array = np.asarray(values, dtype=float)
    generator = np.random.default_rng(seed)
    blocks = [
        array[generator.integers(len(array), size=(_RESAMPLES_AT_ONCE, len(array)))].mean(axis=1)
        for _ in range(RESAMPLES // _RESAMPLES_AT_ONCE)
    ]
    return np.sort(np.concatenate(blocks))


def _percentile_interval(means: NDArray) -> Interval:
    import numpy as np

    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(low=float(low), high=float(high))


def _bootstrap_p_value(means: NDArray) -> float:
    """Twice the smaller share of resampled differences on one side of zero; never exactly 0, as samples are finite."""
    smaller = min(int((means <= 0).sum()), int((means >= 0).sum()))
    return min(1.0, 2 * (smaller + 1) / (len(means) + 1))
