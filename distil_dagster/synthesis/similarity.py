"""Exact ROUGE-L similarity against a growing set of texts, without comparing every pair.

ROUGE-L F1 of two token lists of lengths n and m with longest common subsequence L is 2L / (n + m) (Lin, 2004), which is
the normalised Indel similarity. Tokens are those of the `rouge-score` package with its Porter stemmer.

F1 > t needs L > t(n + m) / 2, and L is at most the size of the tokens' multiset intersection. So a match shares at
least `o` of the query's n tokens, and by the pigeonhole principle at least one of any n - o + 1 of them (prefix
filtering, Chaudhuri, Ganti and Kaushik, 2006). The rarest ones are looked up; what they give is compared exactly.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rouge_score.tokenizers import DefaultTokenizer

_Element = tuple[int, int]


@dataclass(frozen=True)
class Match:
    """The most similar text above the threshold: its name and the ROUGE-L F1."""

    name: str
    similarity: float


class SimilarityIndex:
    """Texts by name, and the question which of them is too similar to a new one.

    Args:
        threshold: similarities strictly above it count, 0 to 1.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._names: list[str] = []
        self._texts: list[list[int]] = []
        self._vocabulary: dict[str, int] = {}
        self._postings: defaultdict[_Element, list[int]] = defaultdict(list)

    def __len__(self) -> int:
        return len(self._names)

    def add(self, name: str, text: str) -> None:
        """Remember a text."""
        tokens = self._tokens(text)
        for element in _elements(tokens):
            self._postings[element].append(len(self._texts))
        self._names.append(name)
        self._texts.append(tokens)

    def most_similar(self, text: str) -> Match | None:
        """The most similar text above the threshold, the earliest of equals; None where there is none."""
        from rapidfuzz.distance import Indel

        tokens = self._tokens(text)
        best: Match | None = None
        for index in sorted(self._candidates(tokens)):
            floor = best.similarity if best else self._threshold
            other = self._texts[index]
            if _bound(len(tokens), len(other)) <= floor:
                continue
            similarity = Indel.normalized_similarity(tokens, other)
            if similarity > floor:
                best = Match(self._names[index], similarity)
        return best

    def _candidates(self, tokens: Sequence[int]) -> set[int]:
        length = len(tokens)
        if not length or self._threshold >= 1:
            return set()
        # The shortest text that could match has a length m with 2m / (n + m) > t.
        shortest = self._threshold * length / (2 - self._threshold)
        shared = max(1, math.ceil(self._threshold * (length + shortest) / 2 - 1e-9))
        elements = sorted(_elements(tokens), key=lambda element: len(self._postings.get(element, ())))
        looked_up = elements[: max(0, length - shared + 1)]
        return {index for element in looked_up for index in self._postings.get(element, ())}

    def _tokens(self, text: str) -> list[int]:
        return [self._vocabulary.setdefault(token, len(self._vocabulary)) for token in self._tokenizer.tokenize(text)]

    @cached_property
    def _tokenizer(self) -> DefaultTokenizer:
        from rouge_score.tokenizers import DefaultTokenizer

        return DefaultTokenizer(use_stemmer=True)


def _elements(tokens: Sequence[int]) -> list[_Element]:
    """The tokens as a set: each with how often it stood before, so that multisets intersect as sets do."""
    seen: Counter[int] = Counter()
    elements = []
    for token in tokens:
        elements.append((token, seen[token]))
        seen[token] += 1
    return elements


def _bound(length: int, other: int) -> float:
    """The largest F1 that two texts of these lengths can have."""
    return 2 * min(length, other) / (length + other)
