from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.evaluation.classification import NOT_A_CLASS, classification_report

CLASSES = ("cat", "dog", "fish")
#        predicted: cat dog fish none
#   cat             3   1   0    1
#   dog             2   2   0    0
#   fish            0   0   0    1
REFERENCES = ["cat"] * 5 + ["dog"] * 4 + ["fish"]
PREDICTIONS = ["cat", "cat", "cat", "dog", "a cat, I think", "cat", "cat", "dog", "dog", NOT_A_CLASS]


def test_the_confusion_matrix_counts_references_down_and_predictions_across() -> None:
    report = classification_report(REFERENCES, PREDICTIONS, CLASSES)
    assert report.confusion == ((3, 1, 0, 1), (2, 2, 0, 0), (0, 0, 0, 1))
    assert report.not_a_class == 2


def test_accuracy_is_the_diagonal_over_all_rows() -> None:
    assert classification_report(REFERENCES, PREDICTIONS, CLASSES).accuracy == 0.5


def test_precision_recall_and_f1_match_a_hand_counted_table() -> None:
    cat, dog, fish = classification_report(REFERENCES, PREDICTIONS, CLASSES).per_class
    assert (cat.label, cat.support) == ("cat", 5)
    assert (cat.precision, cat.recall) == (3 / 5, 3 / 5)
    assert cat.f1 == pytest.approx(0.6)
    assert (dog.precision, dog.recall) == (2 / 3, 2 / 4)
    assert dog.f1 == pytest.approx(4 / 7)
    assert (fish.precision, fish.recall, fish.f1, fish.support) == (0.0, 0.0, 0.0, 1)


def test_macro_f1_is_the_plain_mean_over_classes_that_have_rows() -> None:
    report = classification_report(REFERENCES, PREDICTIONS, (*CLASSES, "bird"))
    assert report.macro_f1 == pytest.approx((0.6 + 4 / 7 + 0.0) / 3)
    assert report.per_class[3].support == 0


def test_a_perfect_classifier_scores_one_everywhere() -> None:
    report = classification_report(REFERENCES, REFERENCES, CLASSES)
    assert report.accuracy == report.macro_f1 == 1.0
    assert all(scores.precision == scores.recall == scores.f1 == 1.0 for scores in report.per_class)


def test_references_outside_the_classes_are_an_error_that_names_them() -> None:
    with pytest.raises(ValueError, match="references that are not classes: bird"):
        classification_report(["bird"], ["cat"], CLASSES)


def test_no_rows_are_an_error() -> None:
    with pytest.raises(ValueError, match="no rows"):
        classification_report([], [], CLASSES)


def test_sequences_of_different_lengths_are_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        classification_report(["cat", "dog"], ["cat"], CLASSES)


@given(st.lists(st.tuples(st.sampled_from(CLASSES), st.sampled_from((*CLASSES, "else"))), min_size=1, max_size=60))
def test_the_matrix_adds_up(pairs: list[tuple[str, str]]) -> None:
    references, predictions = zip(*pairs, strict=True)
    report = classification_report(references, predictions, CLASSES)
    assert sum(map(sum, report.confusion)) == len(pairs)
    assert [scores.support for scores in report.per_class] == [references.count(name) for name in CLASSES]
    assert report.accuracy == sum(a == b for a, b in pairs) / len(pairs)
    assert report.not_a_class == predictions.count("else")
    for scores in report.per_class:
        total = scores.precision + scores.recall
        assert scores.f1 == pytest.approx(2 * scores.precision * scores.recall / total if total else 0.0)
