import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from distil_dagster.synthesis.similarity import SimilarityIndex

# Few words, so that random texts do resemble each other, repetitions included.
TEXT = st.lists(
    st.sampled_from(["the", "parcels", "parcel", "arrived", "arriving", "late", "Invoice", "7", "ü"]), max_size=12
).map(" ".join)
SCORER = RougeScorer(["rougeL"], use_stemmer=True)


def rouge_l(one: str, other: str) -> float:
    return SCORER.score(one, other)["rougeL"].fmeasure


@given(st.lists(TEXT, max_size=8), TEXT, st.sampled_from([0.0, 0.3, 0.5, 0.7, 0.9, 0.95, 1.0]))
def test_the_match_is_what_comparing_every_pair_would_find(kept, text, threshold):
    index = SimilarityIndex(threshold)
    for number, other in enumerate(kept):
        index.add(str(number), other)
    scores = [rouge_l(other, text) for other in kept]
    best = max(scores, default=0.0)
    match = index.most_similar(text)
    if abs(best - threshold) < 1e-9:
        return  # on the border, the last bit of a division decides
    if best < threshold or best == 0:
        assert match is None
    else:
        assert match.similarity == pytest.approx(best, abs=1e-12)
        assert scores[int(match.name)] == pytest.approx(best, abs=1e-12)


def test_inflection_and_punctuation_do_not_make_a_text_different():
    index = SimilarityIndex(0.95)
    index.add("seed", "Where are my parcels?")
    assert index.most_similar("where are my parcel").name == "seed"


def test_a_similarity_of_exactly_the_threshold_is_allowed():
    index = SimilarityIndex(0.5)
    index.add("seed", "alpha beta")
    assert index.most_similar("alpha gamma") is None
    assert index.most_similar("alpha beta gamma").similarity == pytest.approx(0.8)


def test_texts_without_words_are_like_nothing():
    index = SimilarityIndex(0.0)
    index.add("seed", "!!!")
    assert index.most_similar("???") is None
    assert len(index) == 1
