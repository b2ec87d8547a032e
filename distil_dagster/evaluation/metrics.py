"""Text metrics of one prediction against one reference; every one is in [0, 1], higher is better.

| metric | what it gives |
|---|---|
| `accuracy` | 1.0 where the answer is valid for its task and equals the reference |
| `exact_match` | 1.0 where the two texts are equal |
| `rouge_l` | ROUGE-L F1 over stemmed tokens, the number that the package `rouge-score` gives |
| `meteor` | METEOR as NLTK computes it |

`accuracy` and `exact_match` ignore surrounding whitespace and nothing else: letter case counts, since a program that
reads a class name or an identifier tells `Paid` from `paid`. Whatever leniency a task grants belongs in its own parse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from distil_dagster.tasks.base import Parsed

JUDGE_METRIC = "llm_as_a_judge"
BINARY_METRICS = frozenset({"accuracy", "exact_match", JUDGE_METRIC, "binary_tool_call", "tool_call_equivalence"})
METRIC_TITLES: Mapping[str, str] = {
    "accuracy": "Accuracy",
    "exact_match": "Exact match",
    "rouge_l": "ROUGE-L",
    "meteor": "METEOR",
    JUDGE_METRIC: "LLM-as-a-judge",
    "binary_tool_call": "Binary tool call",
    "staged_tool_call": "Staged tool call",
    "tool_call_equivalence": "Tool call equivalence",
}

Metric = Callable[[str, Parsed], float]


class Thesaurus(Protocol):
    """The part of NLTK's WordNet reader that METEOR asks."""

    def synsets(self, lemma: str) -> list[Any]:
        """The synonym sets that a word stands in."""


@dataclass(frozen=True)
class NoThesaurus:
    """A WordNet without words: METEOR then matches equal words and equal stems only."""

    def synsets(self, lemma: str) -> list[Any]:  # noqa: ARG002 - the reader's signature
        """No synonyms of anything."""
        return []


def exact_match(reference: str, prediction: str) -> float:
    """1.0 where the texts are equal but for surrounding whitespace, case included; else 0.0."""
    return float(reference.strip() == prediction.strip())


def rouge_l(reference: str, prediction: str) -> float:
    """ROUGE-L F1 with the Porter stemmer: 2PR / (P + R), P and R the longest common subsequence over each length.

    The tokens are those of the package `rouge-score`, which keeps ASCII letters and digits alone; the subsequence is
    counted by rapidfuzz, so that long texts cost milliseconds and not seconds. Two texts without a token score 0.0.
    Source: C.-Y. Lin, "ROUGE: A Package for Automatic Evaluation of Summaries" (2004), section 3.
    """
    from rapidfuzz.distance import LCSseq

    tokenize = _rouge_tokenizer().tokenize
    reference_tokens, prediction_tokens = tokenize(reference), tokenize(prediction)
    common = LCSseq.similarity(reference_tokens, prediction_tokens)
    if not common:
        return 0.0
    precision, recall = common / len(prediction_tokens), common / len(reference_tokens)
    return 2 * precision * recall / (precision + recall)


def meteor(reference: str, prediction: str, thesaurus: Thesaurus | None = None) -> float:
    """METEOR with NLTK's default weights, over NLTK's Treebank tokens.

    Words match if they are equal, have the same stem, or are synonyms in WordNet. NLTK's WordNet is a download of its
    own (`python -m nltk.downloader wordnet`); where it is not installed, synonyms do not match and scores are a little
    lower. `meteor_uses_synonyms` tells which of the two a machine computes.

    Source: A. Lavie and A. Agarwal, "METEOR: An Automatic Metric for MT Evaluation with High Levels of Correlation with
    Human Judgments" (2007).
    """
    from nltk.tokenize import word_tokenize
    from nltk.translate.meteor_score import single_meteor_score

    # Splitting into sentences first would need another download; it matters for full stops inside the text only.
    reference_tokens, prediction_tokens = (word_tokenize(text, preserve_line=True) for text in (reference, prediction))
    return float(single_meteor_score(reference_tokens, prediction_tokens, wordnet=thesaurus or installed_thesaurus()))


def meteor_uses_synonyms() -> bool:
    """Whether WordNet is installed for NLTK on this machine."""
    return not isinstance(installed_thesaurus(), NoThesaurus)


@cache
def installed_thesaurus() -> Thesaurus:
    """NLTK's WordNet where it is installed, else `NoThesaurus`. Nothing is downloaded."""
    from nltk.corpus import wordnet

    try:
        wordnet.ensure_loaded()
    except LookupError:
        return NoThesaurus()
    return wordnet


@cache
def _rouge_tokenizer() -> Any:
    from rouge_score.tokenizers import DefaultTokenizer

    return DefaultTokenizer(use_stemmer=True)


TEXT_METRICS: Mapping[str, Metric] = {
    "accuracy": lambda reference, parsed: exact_match(reference, parsed.text) if parsed.valid else 0.0,
    "exact_match": lambda reference, parsed: exact_match(reference, parsed.text),
    "rouge_l": lambda reference, parsed: rouge_l(reference, parsed.text),
    "meteor": lambda reference, parsed: meteor(reference, parsed.text),
}


def metric_title(name: str) -> str:
    """The name of a metric as people write it."""
    return METRIC_TITLES.get(name, name)
