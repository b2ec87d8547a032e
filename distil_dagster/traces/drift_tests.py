"""The four questions that drift asks of old and new traces, each with a p-value and the size of the difference.

With many rows every difference is significant, so that each test also has a size from which on it matters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import median
from typing import TYPE_CHECKING, Literal

from distil_dagster.traces.drift_wording import label_sentence, percent, telling_words
from distil_dagster.traces.novelty import Asked, Side
from distil_dagster.traces.two_sample import (
    areas_under_curve,
    balanced_cramers_v,
    chi_squares,
    dealt_counts,
    permuted_p,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

TestName = Literal["text", "labels", "length", "unreadable"]

SMALLEST_EFFECT: dict[TestName, float] = {"text": 0.55, "labels": 0.1, "length": 0.1, "unreadable": 0.05}
FEWEST_ROWS = 30

_TEXTS_A_SIDE = 1_000
_CHARACTERS_OF_A_TEXT = 2_000
_LABELLED_A_SIDE = 5_000
_FEATURES = 2**18
_RARE = 5


@dataclass(frozen=True)
class Outcome:
    """What one test found; `p` is none where there is nothing to test, and `sentence` then says why.

    `effect` is the AUC, Cramér's V, Kolmogorov and Smirnov's D, or the difference of shares. `telling` names the words
    or labels that differ most.
    """

    name: TestName
    sentence: str
    statistic: float | None = None
    p: float | None = None
    effect: float | None = None
    telling: tuple[str, ...] = ()


def text_test(old: Side, new: Side, seed: int) -> Outcome:
    """Whether a classifier tells new texts from old ones: the classifier two-sample test.

    The classifier is ridge regression on hashed words, word pairs and character n-grams; the statistic is the AUC of
    its scores on folds that it was not fitted on. Scores of different folds depend on each other, so that the rank
    test's own p-value comes out too small; the sides are permuted instead.

    Source: D. Lopez-Paz and M. Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017; permuted as in P. Golland
    and B. Fischl, "Permutation Tests for Classification", IPMI 2003.
    """
    if (few := _too_few("text", len(old.rows), len(new.rows))) is not None:
        return few
    import numpy as np

    before, now = (
        [row.text[:_CHARACTERS_OF_A_TEXT] for row in _sample(side.rows, _TEXTS_A_SIDE, seed)] for side in (old, new)
    )
    is_new = np.arange(len(before) + len(now)) >= len(before)
    areas = areas_under_curve(_kernel([*before, *now]), is_new, np.random.default_rng(seed))
    area, words = float(areas[0]), telling_words(before, now)
    told = f"A classifier tells new texts from old ones with an AUC of {area:.2f}, where 0.5 is chance"
    return Outcome("text", f"{told}; {words[0]}." if words else f"{told}.", area, permuted_p(areas), area, words)


def label_test(old: Side, new: Side, seed: int) -> Outcome:
    """Whether classes or tools are asked for in other shares.

    The statistic is chi-square of the labels' counts, a label once a trace; its p-value is that of permuted traces,
    which neither rare labels nor several labels a trace spoil. The effect is Cramér's V.
    """
    if not any(row.labels for row in (*old.rows, *new.rows)):
        return Outcome("labels", "There are neither classes nor tools.")
    if (few := _too_few("labels", len(old.rows), len(new.rows))) is not None:
        return few
    import numpy as np

    kinds_before, kinds_now = _kinds(*(_sample(side.rows, _LABELLED_A_SIDE, seed) for side in (old, new)))
    kinds = sorted({*kinds_before, *kinds_now})
    names = sorted({label for kind in kinds for label in kind})
    holds = np.array([[label in kind for label in names] for kind in kinds], dtype=float)
    before, now = (np.array([counts[kind] for kind in kinds]) for counts in (kinds_before, kinds_now))
    totals = before + now
    deals = dealt_counts(totals, now, np.random.default_rng(seed))
    statistics = np.concatenate([chi_squares(counts @ holds, totals @ holds) for counts in deals])
    effect = balanced_cramers_v(before @ holds, now @ holds)
    sentence, telling = label_sentence(old, new)
    return Outcome("labels", sentence, float(statistics[0]), permuted_p(statistics), effect, telling)


def length_test(old: Side, new: Side) -> Outcome:
    """Whether users write texts of another length: Kolmogorov and Smirnov's test of the lengths in characters."""
    if (few := _too_few("length", len(old.rows), len(new.rows))) is not None:
        return few
    from scipy.stats import ks_2samp

    before, now = ([len(row.text) for row in side.rows] for side in (old, new))
    found = ks_2samp(before, now, method="asymp")
    sentence = f"The median length of new texts is {median(now):.0f} characters, {median(before):.0f} before."
    return Outcome("length", sentence, float(found.statistic), float(found.pvalue), float(found.statistic))


def unreadable_test(old: Side, new: Side) -> Outcome:
    """Whether another share of lines cannot be used, as when the logging format has changed: Fisher's exact test."""
    if (few := _too_few("unreadable", old.lines, new.lines, "lines")) is not None:
        return few
    from scipy.stats import fisher_exact

    found = fisher_exact([[old.unreadable, len(old.rows)], [new.unreadable, len(new.rows)]])
    before, now = (side.unreadable / side.lines for side in (old, new))
    sentence = f"{percent(now)} of the new lines cannot be used, {percent(before)} before."
    return Outcome("unreadable", sentence, now - before, float(found.pvalue), abs(now - before))


def _too_few(name: TestName, old: int, new: int, what: str = "traces") -> Outcome | None:
    if old >= FEWEST_ROWS and new >= FEWEST_ROWS:
        return None
    return Outcome(name, f"{old} old and {new} new {what}: it takes {FEWEST_ROWS} of each to tell.")


def _sample(rows: Sequence[Asked], size: int, seed: int) -> list[Asked]:
    return Random(seed).sample(rows, min(size, len(rows)))


def _kernel(texts: Sequence[str]) -> NDArray:
    """How alike any two texts are in words and in characters, (n, n): 2 for equal ones, 0 for those that share none."""
    import numpy as np
    from sklearn.feature_extraction.text import HashingVectorizer

    words = HashingVectorizer(n_features=_FEATURES, ngram_range=(1, 2), alternate_sign=False)
    characters = HashingVectorizer(n_features=_FEATURES, ngram_range=(2, 4), analyzer="char_wb", alternate_sign=False)
    features = [vectorizer.transform(texts) for vectorizer in (words, characters)]
    return np.sum([(held @ held.T).toarray() for held in features], axis=0).astype(np.float32)


def _kinds(before: Sequence[Asked], now: Sequence[Asked]) -> tuple[Counter[tuple[str, ...]], Counter[tuple[str, ...]]]:
    """How many old and new traces have each combination of labels; labels that hardly occur are one, named nothing."""
    counts = Counter(label for row in (*before, *now) for label in row.labels)

    def pooled(row: Asked) -> tuple[str, ...]:
        return tuple(sorted({label if counts[label] >= _RARE else "" for label in row.labels}))

    return Counter(map(pooled, before)), Counter(map(pooled, now))
