from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distil_dagster.traces.drift_tests import FEWEST_ROWS, label_test, length_test, text_test, unreadable_test
from distil_dagster.traces.novelty import Asked, Side


def texts(*values):
    return Side([Asked((str(n),), value, ()) for n, value in enumerate(values)], 0)


def labelled(*labels):
    return Side([Asked((str(n),), "", tuple(held)) for n, held in enumerate(labels)], 0)


def wordy(seed, count, words):
    random = Random(seed)
    return texts(*(" ".join(random.choices(words, k=8)) for _ in range(count)))


FIRST, SECOND = ["one", "two", "three", "four", "five", "six"], ["one", "two", "three", "four", "seven", "eight"]


def test_other_words_are_found_and_named():
    found = text_test(wordy(1, 80, FIRST), wordy(2, 80, SECOND), 0)
    assert found.p < 0.001
    assert found.effect > 0.95
    assert any(word in found.sentence for word in ("`five`", "`six`", "`seven`", "`eight`"))
    assert len(found.telling) == 5


def test_equal_words_in_another_order_of_texts_are_not_told_apart():
    found = text_test(wordy(1, 80, FIRST), wordy(2, 80, FIRST), 0)
    assert found.p > 0.01
    assert found.effect < 0.65


def test_other_endings_and_scripts_are_found_without_any_word_in_common():
    random = Random(0)
    stems = ["".join(random.choices("bcdfgaeiou", k=5)) for _ in range(400)]
    old, new = texts(*(f"{stem}ing" for stem in stems[:200])), texts(*(f"{stem}ung" for stem in stems[200:]))
    assert text_test(old, new, 0).effect > 0.95


@pytest.mark.parametrize("test", [text_test, label_test])
def test_equal_seeds_give_equal_results(test):
    old, new = wordy(1, 40, FIRST), wordy(2, 40, SECOND)
    assert test(old, new, 3) == test(old, new, 3)


def test_the_seed_chooses_folds_and_deals():
    old, new = wordy(1, 40, FIRST), wordy(2, 40, [*FIRST, "seven"])
    assert text_test(old, new, 3).effect != text_test(old, new, 4).effect


def test_long_files_are_sampled():
    old, new = wordy(1, 30_000, FIRST), wordy(2, 30_000, SECOND)
    assert text_test(old, new, 0).effect > 0.95  # all pairs of all texts would not fit into memory


def test_only_the_beginning_of_a_text_is_read():
    start = "word " * 400
    old, new = texts(*[start] * 40), texts(*[f"{start} other end"] * 40)
    assert text_test(old, new, 0).p > 0.05


def test_another_mix_of_labels_is_found_with_its_size():
    old, new = labelled(*["a"] * 150, *["b"] * 50), labelled(*["a"] * 50, *["b"] * 150)
    found = label_test(old, new, 0)
    assert found.p < 0.001
    assert found.effect == pytest.approx(0.5)
    assert found.sentence.startswith(("75% of the new traces are answered with `b`, 25% before", "25% of the new"))


def test_several_labels_a_trace_are_dealt_together():
    """Ten labels that always come together are one observation and not ten."""
    many = tuple("abcdefghij")
    old, new = labelled(*[many] * 10, *["z"] * 40), labelled(*[many] * 16, *["z"] * 34)
    assert label_test(old, new, 0).p > 0.05


def test_answers_that_never_repeat_are_no_labels():
    old, new = (labelled(*([f"{name} {n}"] for n in range(60))) for name in ("sentence", "phrase"))
    found = label_test(old, new, 0)
    assert (found.p, found.effect) == (1.0, 0.0)


def test_a_task_without_labels_is_not_tested_for_them():
    found = label_test(labelled(*[()] * 50), labelled(*[()] * 50), 0)
    assert (found.p, found.sentence) == (None, "There are neither classes nor tools.")


def test_longer_texts_are_found_with_both_medians():
    random = Random(0)
    old, new = (texts(*("x" * random.randint(low, low + 100) for _ in range(60))) for low in (50, 100))
    found = length_test(old, new)
    assert found.p < 0.001
    assert found.effect > 0.3
    assert found.sentence.startswith("The median length of new texts is 1")


def test_more_unreadable_lines_are_found():
    rows = texts(*["x"] * 90).rows
    found = unreadable_test(Side(rows, 1), Side(rows, 30))
    assert found.p < 0.001
    assert found.effect == pytest.approx(0.25 - 1 / 91)
    assert found.sentence == "25% of the new lines cannot be used, 1.1% before."


def test_a_log_of_which_nothing_is_readable_is_found():
    assert unreadable_test(texts(*["x"] * 90), Side([], 40)).effect == 1.0


@pytest.mark.parametrize(("old", "new"), [(FEWEST_ROWS - 1, 50), (50, FEWEST_ROWS - 1)])
def test_too_few_rows_are_not_tested(old, new):
    sides = [Side([Asked((str(n),), "x", ("a",)) for n in range(count)], 0) for count in (old, new)]
    for found in (text_test(*sides, 0), label_test(*sides, 0), length_test(*sides), unreadable_test(*sides)):
        assert found.p is None
        assert f"{old} old and {new} new" in found.sentence
        assert "30 of each" in found.sentence


@settings(max_examples=10)
@given(st.lists(st.text(max_size=30), min_size=70, max_size=70))
def test_any_text_can_be_compared(values):
    found = text_test(texts(*values[:35]), texts(*values[35:]), 0)
    assert 0 <= found.effect <= 1
    assert 0 < found.p <= 1


@settings(max_examples=20)
@given(st.lists(st.lists(st.text(max_size=5), max_size=3), min_size=70, max_size=70))
def test_any_labels_can_be_compared(values):
    found = label_test(labelled(*values[:35]), labelled(*values[35:]), 0)
    assert found.p is None or (0 < found.p <= 1 and 0 <= found.effect <= 1.0001)
