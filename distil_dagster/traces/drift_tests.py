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

from distil_dagster.traces.identity import text_key
from distil_dagster.traces.novelty import Side

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

TestName = Literal["text", "labels", "length", "unreadable"]

PERMUTATIONS = 4_999
"""The smallest p-value is 1/5,000: below the smallest `drift_alpha` even after correction for four tests."""
SMALLEST_EFFECT: dict[TestName, float] = {"text": 0.6, "labels": 0.1, "length": 0.1, "unreadable": 0.05}
FEWEST_ROWS = 30

_TEXTS_A_SIDE = 1_000
_CHARACTERS_OF_A_TEXT = 2_000
_FEATURES = 2**18
_RIDGE = 1.0
_FOLDS = 5
_COLUMNS_AT_ONCE = 500
_RARE = 5
_WORDS_NAMED = 5
_LABELS_NAMED = 3
_LABEL_SHOWN = 60


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
    test's own p-value comes too small; the sides are permuted instead, for which the fitted matrices serve again.

    Source: D. Lopez-Paz and M. Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017; in the permuted form of
    P. Golland and B. Fischl, "Permutation Tests for Classification", IPMI 2003.
    """
    if (few := _too_few("text", len(old.rows), len(new.rows))) is not None:
        return few
    import numpy as np

    texts, count = _texts(old, new, seed)
    is_new = np.arange(len(texts)) >= count
    areas = _areas_under_curve(_kernel(texts), is_new, np.random.default_rng(seed))
    area, p = float(areas[0]), float((areas >= areas[0]).mean())
    told = f"A classifier tells new texts from old ones with an AUC of {area:.2f}, where 0.5 is chance."
    words = _telling_words(texts[:count], texts[count:])
    first = f" {words[0]}." if words else ""
    return Outcome("text", told + first, area, p, area, words)


def label_test(old: Side, new: Side, seed: int) -> Outcome:
    """Whether classes or tools are asked for in other shares.

    The statistic is chi-square of the labels' counts, a label once a trace; its p-value is that of permuted traces,
    which neither rare labels nor several labels a trace spoil. The effect is Cramér's V as it would be were there as
    many new traces as old ones, so that it measures the difference and not the numbers.
    """
    if (few := _too_few("labels", len(old.rows), len(new.rows))) is not None:
        return few
    counts = tuple(label_counts(side) for side in (old, new))
    if not any(counts):
        return Outcome("labels", "The task has neither classes nor tools.")
    import numpy as np

    common = _common_labels(*counts)
    kinds = Counter(_pooled(row.labels, common) for row in (*old.rows, *new.rows))
    drawn = Counter(_pooled(row.labels, common) for row in new.rows)
    names = sorted({label for kind in kinds for label in kind})
    holds = np.array([[name in kind for name in names] for kind in kinds], dtype=float)
    totals, observed = np.array(list(kinds.values())), np.array([drawn[kind] for kind in kinds])
    # How many traces of each kind are new when the sides are dealt anew: as good as permuting them, and quicker.
    dealt = np.random.default_rng(seed).multivariate_hypergeometric(
        totals, len(new.rows), size=PERMUTATIONS, method="marginals"
    )
    statistics = _chi_squares(np.vstack([observed, dealt]) @ holds, totals @ holds)
    p = float((statistics >= statistics[0] - 1e-9 * abs(statistics[0])).mean())
    effect = _cramers_v((totals - observed) @ holds, observed @ holds)
    sentence, telling = _label_sentence(old, new, *counts)
    return Outcome("labels", sentence, float(statistics[0]), p, effect, telling)


def length_test(old: Side, new: Side) -> Outcome:
    """Whether users write texts of another length: Kolmogorov and Smirnov's test of the lengths in characters."""
    if (few := _too_few("length", len(old.rows), len(new.rows))) is not None:
        return few
    from scipy.stats import ks_2samp

    lengths = [[len(row.text) for row in side.rows] for side in (old, new)]
    found = ks_2samp(*lengths, method="asymp")
    before, now = (median(values) for values in lengths)
    sentence = f"Half of the new texts are longer than {now:.0f} characters, {before:.0f} before."
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


def label_counts(side: Side) -> Counter[str]:
    """How many traces of one side have each label."""
    return Counter(label for row in side.rows for label in row.labels)


def percent(share: float) -> str:
    """A share for people."""
    return f"{100 * share:.1f}%" if 0 < share < 0.1 else f"{100 * share:.0f}%"


def _too_few(name: TestName, old: int, new: int, what: str = "traces") -> Outcome | None:
    if old >= FEWEST_ROWS and new >= FEWEST_ROWS:
        return None
    return Outcome(name, f"{old} old and {new} new {what}: at least {FEWEST_ROWS} of each are needed to tell.")


def _texts(old: Side, new: Side, seed: int) -> tuple[list[str], int]:
    """A sample of the old texts, then one of the new ones; and how many are old."""
    random = Random(seed)
    old_texts, new_texts = (
        [row.text[:_CHARACTERS_OF_A_TEXT] for row in random.sample(side.rows, min(_TEXTS_A_SIDE, len(side.rows)))]
        for side in (old, new)
    )
    return old_texts + new_texts, len(old_texts)


def _kernel(texts: Sequence[str]) -> NDArray:
    """How alike any two texts are in words and in characters, (n, n): 2 for equal ones, 0 for those that share none."""
    from sklearn.feature_extraction.text import HashingVectorizer

    words = HashingVectorizer(n_features=_FEATURES, ngram_range=(1, 2), token_pattern=r"\w+", alternate_sign=False)
    characters = HashingVectorizer(
        n_features=_FEATURES, ngram_range=(2, 4), analyzer="char_wb", alternate_sign=False
    )
    return sum(_products(vectorizer.transform(texts)) for vectorizer in (words, characters))


def _products(features: csr_matrix) -> NDArray:
    import numpy as np

    return (features @ features.T).toarray().astype(np.float32)


def _areas_under_curve(kernel: NDArray, is_new: NDArray, random: NDArray) -> NDArray:
    raise NotImplementedError
