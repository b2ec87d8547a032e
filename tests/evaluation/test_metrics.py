from __future__ import annotations

from dataclasses import dataclass
from math import isclose

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distil_dagster.evaluation import metrics
from distil_dagster.evaluation.metrics import (
    BINARY_METRICS,
    TEXT_METRICS,
    NoThesaurus,
    exact_match,
    meteor,
    metric_title,
    rouge_l,
)
from distil_dagster.tasks.base import Parsed

VOCABULARY = (
    *("the", "cat", "cats", "sat", "sitting", "on", "mats,", "mat.", "running", "runs", "Runner"),
    *("12", "a-b", "über", "日本", "'", "…", "relational"),
)
WORDS = st.lists(st.sampled_from(VOCABULARY), max_size=14).map(" ".join)


@pytest.mark.parametrize(
    ("reference", "prediction", "expected"),
    [
        ("paid", "paid", 1.0),
        ("paid", "  paid\n", 1.0),
        (" paid ", "paid", 1.0),
        ("paid", "Paid", 0.0),
        ("paid", "paid.", 0.0),
        ("a  b", "a b", 0.0),
        ("", "   ", 1.0),
    ],
)
def test_exact_match_ignores_surrounding_white_space_only(reference: str, prediction: str, expected: float) -> None:
    assert exact_match(reference, prediction) == expected


def test_rouge_l_is_the_f1_of_the_longest_common_subsequence() -> None:
    # "the dog ran" in "the brown dog quickly ran": P = 3/5, R = 3/3.
    assert rouge_l("the dog ran", "the brown dog quickly ran") == pytest.approx(2 * 0.6 / 1.6)


def test_rouge_l_matches_stems_and_ignores_case_and_punctuation() -> None:
    assert rouge_l("Transfers failed!", "transfer failing") == 1.0


def test_rouge_l_of_texts_without_tokens_is_zero() -> None:
    assert rouge_l("", "") == 0.0
    assert rouge_l("日本", "日本") == 0.0
    assert rouge_l("a", "") == 0.0


@settings(max_examples=300, deadline=None)
@given(WORDS | st.text(max_size=40), WORDS | st.text(max_size=40))
def test_rouge_l_equals_the_package_rouge_score(reference: str, prediction: str) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    expected = RougeScorer(["rougeL"], use_stemmer=True).score(reference, prediction)["rougeL"].fmeasure
    assert isclose(rouge_l(reference, prediction), expected, rel_tol=1e-12)


def test_rouge_l_of_long_texts_is_fast_enough_to_compute() -> None:
    text = " ".join(f"word{number}" for number in range(4_000))
    assert rouge_l(text, text) == 1.0


def test_meteor_of_equal_sentences_loses_one_chunk_only() -> None:
    # P = R = 1, one chunk of six words: 1 - 0.5 * (1 / 6) ** 3.
    sentence = "the cat sat on the mat"
    assert meteor(sentence, sentence, NoThesaurus()) == pytest.approx(1 - 0.5 / 216)


def test_meteor_halves_for_words_in_no_order() -> None:
    # Six words in six chunks: 1 - 0.5 * (6 / 6) ** 3.
    assert meteor("the cat sat on the mat", "on the mat sat the cat", NoThesaurus()) == pytest.approx(0.5)


def test_meteor_weighs_recall_nine_times() -> None:
    # Two of four reference words in one chunk: P = 1, R = 1/2, F = PR / (0.9 P + 0.1 R), penalty 0.5 * (1 / 2) ** 3.
    expected = (1 - 0.5 / 8) * 0.5 / (0.9 + 0.05)
    assert meteor("reset your pin now", "reset your", NoThesaurus()) == pytest.approx(expected)


def test_meteor_matches_stems_and_case() -> None:
    assert meteor("Cards declined", "card decline", NoThesaurus()) == pytest.approx(1 - 0.5 / 8)


def test_meteor_of_nothing_in_common_or_nothing_at_all_is_zero() -> None:
    assert meteor("lost card", "change pin", NoThesaurus()) == 0.0
    assert meteor("", "", NoThesaurus()) == 0.0
    assert meteor("lost card", "", NoThesaurus()) == 0.0


@dataclass(frozen=True)
class Lemma:
    word: str

    def name(self) -> str:
        return self.word


@dataclass(frozen=True)
class Synonyms:
    words: tuple[str, ...]

    def lemmas(self) -> list[Lemma]:
        return [Lemma(word) for word in self.words]


class SmallThesaurus:
    def synsets(self, lemma: str) -> list[Synonyms]:
        return [Synonyms(("car", "auto"))] if lemma in ("car", "auto") else []


def test_meteor_matches_synonyms_where_a_thesaurus_is_at_hand() -> None:
    # One of two words matches without it: P = R = 1/2, one chunk of one word.
    assert meteor("my car", "my auto", NoThesaurus()) == pytest.approx(0.5 * 0.5)
    assert meteor("my car", "my auto", SmallThesaurus()) == pytest.approx(1 - 0.5 / 8)


def test_a_machine_without_wordnet_computes_meteor_without_synonyms(monkeypatch: pytest.MonkeyPatch) -> None:
    import nltk

    monkeypatch.setattr(nltk.data, "path", [])
    metrics.installed_thesaurus.cache_clear()
    try:
        if metrics.meteor_uses_synonyms():
            pytest.skip("WordNet was loaded before")
        assert meteor("my car", "my auto") == meteor("my car", "my auto", NoThesaurus())
    finally:
        metrics.installed_thesaurus.cache_clear()


def test_accuracy_wants_a_valid_answer_where_exact_match_compares_texts() -> None:
    invalid = Parsed("maybe", valid=False, problem="not a class")
    assert TEXT_METRICS["accuracy"]("maybe", invalid) == 0.0
    assert TEXT_METRICS["exact_match"]("maybe", invalid) == 1.0
    assert TEXT_METRICS["accuracy"]("paid", Parsed("paid", valid=True)) == 1.0


@settings(deadline=None)
@given(WORDS, WORDS)
def test_every_metric_stays_between_zero_and_one(reference: str, prediction: str) -> None:
    for metric in TEXT_METRICS.values():
        assert 0.0 <= metric(reference, Parsed(prediction, valid=True)) <= 1.0


def test_binary_metrics_are_those_that_are_zero_or_one() -> None:
    assert {"accuracy", "exact_match", "llm_as_a_judge"} <= BINARY_METRICS
    assert not {"rouge_l", "meteor", "staged_tool_call"} & BINARY_METRICS


def test_metrics_have_titles_and_unknown_ones_keep_their_name() -> None:
    assert metric_title("rouge_l") == "ROUGE-L"
    assert metric_title("my_own") == "my_own"
