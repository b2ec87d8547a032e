import pytest
from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.errors import TrainingError
from distil_dagster.export.parity import Alike, Differs, compare_answers
from distil_dagster.training.rows import Written


def answers(*texts, finish="stop"):
    return [Written(id=str(number), text=text, finish_reason=finish) for number, text in enumerate(texts)]


@given(texts=st.lists(st.text(), min_size=1))
def test_equal_answers_are_alike(texts):
    assert compare_answers(answers(*texts), answers(*texts)) == Alike(len(texts))


def test_differing_answers_are_counted_and_the_first_is_shown():
    found = compare_answers(answers("a", "b", "c"), answers("a", "x", "y"))
    assert found == Differs(rows=3, differing=2, first="1", evaluated="b", delivered="x")
    assert str(found) == "2 of 3 answers differ; first row 1: 'x' where the evaluated model wrote 'b'"
    assert not found.same


def test_an_answer_that_was_cut_is_not_the_one_that_ended():
    assert not compare_answers(answers("a"), answers("a", finish="length")).same


@pytest.mark.parametrize(
    ("left", "right"), [([], []), (answers("a"), answers("a", "b")), (answers("a", "b"), answers("a", "b")[::-1])]
)
def test_answers_to_other_rows_are_not_compared(left, right):
    with pytest.raises(TrainingError, match="not to the same rows"):
        compare_answers(left, right)
