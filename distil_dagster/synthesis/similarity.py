"""Exact ROUGE-L similarity against a growing set of texts, without comparing every pair.

ROUGE-L F1 of two token lists of lengths n and m with longest common subsequence L is 2L / (n + m) (Lin, 2004). Tokens
are those of the `rouge-score` package with its Porter stemmer.

F1 > t needs L > t(n + m) / 2; as L is at most m, that is L > tn / (2 - t): a text of n tokens shares o(n) of them at
least with any text that matches it, o(n) being the smallest integer not below tn / (2 - t), and this holds for m alike.
Put the tokens of both in one and the same order: the first n - o(n) + 1 of the one and the first m - o(m) + 1 of the
other then have a token in common (prefix filtering; Chaudhuri, Ganti and Kaushik, 2006). Only these are looked up, the
tokens met last first, as words that turn up late are mostly rare; what has one of them and a length that can match is
compared exactly.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rouge_score.tokenizers import DefaultTokenizer

_WORD = re.compile("[a-z0-9]+")
# Bounds are computed in floats: wide enough for their error, and far below the distance of two lengths.
_SLACK = 1e-9


@dataclass(frozen=True)
class Match:
    """The most similar text above the threshold: its name and the ROUGE-L F1."""

    name: str
    similarity: float


class Vocabulary:
    """Texts as numbers: one for each stem, in the order in which stems are met. Each word is stemmed once."""

    def __init__(self) -> None:
        self._stems: dict[str, int] = {}
        self._words: dict[str, int] = {}

    def tokens(self, text: str) -> list[int]:
        """The numbers of the text's stems, which are the tokens of `rouge-score`."""
        return [self._number(word) for word in _WORD.findall(text.lower())]

    def _number(self, word: str) -> int:
        number = self._words.get(word)
        if number is None:
            (stem,) = self._tokenizer.tokenize(word)
            number = self._words[word] = self._stems.setdefault(stem, len(self._stems))
        return number

    @cached_property
    def _tokenizer(self) -> DefaultTokenizer:
        from rouge_score.tokenizers import DefaultTokenizer

        return DefaultTokenizer(use_stemmer=True)


class SimilarityIndex:
    """Texts by name, and the question which of them is too similar to a new one.

    Args:
        threshold: similarities strictly above it count, 0 to 1.
        vocabulary: may be shared by several indexes, so that a word is stemmed once for all of them.
    """

    def __init__(self, threshold: float, vocabulary: Vocabulary) -> None:
        self._threshold = threshold
        self._vocabulary = vocabulary
        self._names: list[str] = []
        self._texts: list[array[int]] = []
        self._longest = 0
        # By the length of a text, then by a token of its prefix: the positions of the texts.
        self._postings: defaultdict[int, defaultdict[int, list[int]]] = defaultdict(lambda: defaultdict(list))

    def __len__(self) -> int:
        return len(self._names)

    def add(self, name: str, text: str) -> None:
        """Remember a text."""
        tokens = self._vocabulary.tokens(text)
        of_length = self._postings[len(tokens)]
        for token in self._prefix(tokens):
            of_length[token].append(len(self._texts))
        self._longest = max(self._longest, len(tokens))
        self._names.append(name)
        self._texts.append(array("I", tokens))

    def most_similar(self, text: str) -> Match | None:
        """The most similar text above the threshold, the earliest of equals; None where there is none."""
        from rapidfuzz.distance import LCSseq

        tokens = array("I", self._vocabulary.tokens(text))
        best: Match | None = None
        floor = self._threshold
        for position in sorted(self._candidates(tokens)):
            other = self._texts[position]
            similarity = 2 * LCSseq.similarity(tokens, other) / (len(tokens) + len(other))
            if similarity > floor:
                best, floor = Match(self._names[position], similarity), similarity
        return best

    def _candidates(self, tokens: Sequence[int]) -> set[int]:
        prefix = self._prefix(tokens)
        found: set[int] = set()
        for of_length in self._of_lengths_like(len(tokens)):
            for token in prefix & of_length.keys():
                found.update(of_length[token])
        return found

    def _of_lengths_like(self, length: int) -> Iterator[defaultdict[int, list[int]]]:
        longest = self._longest
        if self._threshold:
            longest = math.floor(min(longest, length * (2 - self._threshold) / self._threshold + _SLACK))
        for other in range(self._fewest_shared(length), longest + 1):
            if (of_length := self._postings.get(other)) is not None:
                yield of_length

    def _prefix(self, tokens: Sequence[int]) -> set[int]:
        """Tokens of which every text above the threshold has one in its own prefix."""
        ordered = sorted(tokens, reverse=True)
        return set(ordered[: max(0, len(tokens) - self._fewest_shared(len(tokens)) + 1)])

    def _fewest_shared(self, length: int) -> int:
        """The fewest tokens that a text above the threshold shares with one of this length, and has itself."""
        return max(1, math.ceil(length * self._threshold / (2 - self._threshold) - _SLACK))
