import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from distil_dagster.evaluation import metrics
from distil_dagster.synthesis.similarity import SimilarityIndex, Vocabulary

# Few words, so that random texts do resemble each other, repetitions included.
WORDS = ["the", "parcels", "parcel", "arrived", "arriving", "late", "Invoice", "7", "ü", "ponies"]
FEW_WORDS = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
# İ and the Kelvin sign are the two letters beyond ASCII that become ASCII letters in lower case.
ANY_TEXT = st.text(st.one_of(st.characters(), st.sampled_from("aeisy 'İ\u212a")), max_size=60)
TEXT = st.one_of(FEW_WORDS, ANY_TEXT)
SCORER = RougeScorer(["rougeL"], use_stemmer=True)


def rouge_l(one, other):
    return SCORER.score(one, other)["rougeL"].fmeasure


def index_of(threshold, *texts):
    index = SimilarityIndex(threshold, Vocabulary())
    for number, text in enumerate(texts):
        index.add(str(number), text)
    return index


@given(TEXT, TEXT)
def test_similarity_is_that_of_rouge_score(one, other):
    expected = rouge_l(one, other)
    match = index_of(0.0, one).most_similar(other)
    assert (match.similarity if match else 0.0) == pytest.approx(expected, abs=1e-12)
    assert metrics.rouge_l(one, other) == pytest.approx(expected, abs=1e-12)


@given(st.lists(FEW_WORDS, max_size=8), FEW_WORDS, st.sampled_from([0.0, 0.01, 0.3, 0.5, 0.7, 0.9, 0.95, 1.0]))
def test_the_match_is_what_comparing_every_pair_would_find(kept, text, threshold):
    scores = [rouge_l(other, text) for other in kept]
    best = max(scores, default=0.0)
    match = index_of(threshold, *kept).most_similar(text)
    if abs(best - threshold) < 1e-9:
        return  # on the border, the last bit of a division decides
    if best < threshold or best == 0:
        assert match is None
    else:
        assert match.similarity == pytest.approx(best, abs=1e-12)
        assert scores[int(match.name)] == pytest.approx(best, abs=1e-12)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.data())
def test_a_text_with_a_few_words_changed_is_found_exactly_where_it_is_alike_enough(numbers, data):
    words = [f"w{number}" for number in numbers]
    changed = list(words)
    for _ in range(data.draw(st.integers(0, 4))):
        place = data.draw(st.integers(0, len(changed)))
        changed[place : place + data.draw(st.integers(0, 1))] = data.draw(st.lists(st.just("w99"), max_size=1))
    kept, text = " ".join(words), " ".join(changed)
    expected = rouge_l(kept, text)
    for threshold in (0.6, 0.8, 0.95):
        match = index_of(threshold, "something else", kept, "w3 w4").most_similar(text)
        if abs(expected - threshold) > 1e-9:
            assert (match is not None and match.name == "1") == (expected > threshold)


def test_inflection_and_punctuation_do_not_make_a_text_different():
    assert index_of(0.95, "Where are my parcels?").most_similar("where are my parcel").name == "0"


def test_of_equally_similar_texts_the_earliest_is_named():
    index = index_of(0.5, "alpha beta gamma", "alpha beta delta", "alpha beta delta")
    assert index.most_similar("alpha beta delta").name == "1"


def test_a_similarity_of_exactly_the_threshold_is_allowed():
    index = index_of(0.5, "alpha beta")
    assert index.most_similar("alpha gamma") is None
    assert index.most_similar("alpha beta gamma").similarity == pytest.approx(0.8)


@pytest.mark.parametrize(("words", "changed"), [(20, 1), (40, 2), (100, 5)])
def test_one_word_in_twenty_is_exactly_the_default_threshold(words, changed):
    kept = [f"word{number}" for number in range(words)]
    index = index_of(0.95, " ".join(kept))
    assert index.most_similar(" ".join(["new"] * changed + kept[changed:])) is None
    assert index.most_similar(" ".join(["new"] * (changed - 1) + kept[changed - 1 :])) is not None


def test_texts_without_words_are_like_nothing():
    index = index_of(0.0, "!!!")
    assert index.most_similar("???") is None
    assert len(index) == 1


def test_indexes_that_share_a_vocabulary_do_not_share_their_texts():
    vocabulary = Vocabulary()
    one, other = SimilarityIndex(0.5, vocabulary), SimilarityIndex(0.5, vocabulary)
    one.add("one", "alpha beta gamma")
    other.add("other", "delta epsilon zeta")
    assert one.most_similar("delta epsilon zeta") is None
    assert other.most_similar("delta epsilon zeta").name == "other"
