import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.simulator.comparing import canonical, normalised, read_value, same_answer, same_value, says_the_same

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def call(**parameters):
    return {"name": "book_repair", "parameters": parameters}


@given(JSON)
def test_a_value_equals_itself_after_a_journey_as_json(value):
    assert same_value(value, json.loads(json.dumps(value)))


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=5))
def test_the_order_of_keys_tells_no_values_apart(value):
    turned = dict(reversed(value.items()))
    assert same_value(value, turned)
    assert canonical(value) == canonical(turned)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        ([1, 2], [2, 1], False),
        ([1], [1, 1], False),
        ({"a": 1}, {"a": 1, "b": None}, False),
        ("1", 1, False),
        ({}, [], False),
    ],
)
def test_values_are_equal_as_json_values(one, other, equal):
    assert same_value(one, other) is equal


def test_answers_are_compared_as_texts_or_as_values():
    assert same_answer("Change_PIN ", "change_pin")
    assert not same_answer("change_pin", "lost_card")
    assert same_answer(call(part="bell", day="Monday"), call(day="Monday", part="bell"))
    assert not same_answer(call(part="bell"), canonical(call(part="bell")))


def test_an_answer_that_is_not_known_is_the_same_as_none():
    assert not same_answer(None, None)
    assert not same_answer("x", None)


@pytest.mark.parametrize(
    ("reference", "prediction", "same"),
    [
        ("the Grand Canal", "Grand canal.", True),
        ("27 metres", "27 miles", False),
        ("1894", "in 1894", False),
        ("change_pin", "change_pin!", True),
        ("lost_card", "lost card", False),
        ("", "", True),
        ("The", "A", False),
        ("!", "?", False),
        ("x", "", False),
        (
            json.dumps(call(count=2, part="bell")),
            '{"parameters": {"part": "bell", "count": 2.0}, "name": "book_repair"}',
            True,
        ),
        (json.dumps(call(part="bell")), json.dumps(call(part="Bell")), False),
        (json.dumps(call(part="bell")), "bell", False),
    ],
)
def test_a_reader_forgives_form_and_nothing_else(reference, prediction, same):
    assert says_the_same(reference, prediction) is same


@given(st.text(max_size=40), st.text(max_size=40))
def test_saying_the_same_is_mutual_and_every_text_says_what_it_says(one, other):
    assert says_the_same(one, one)
    assert says_the_same(one, other) == says_the_same(other, one)


def test_spaces_before_punctuation_are_no_difference():
    assert normalised("  Where IS it ?\n") == "where is it?"


def test_only_objects_and_lists_are_values():
    assert read_value('{"a": 1}') == {"a": 1}
    assert read_value("[]") == []
    assert [read_value(text) for text in ("12", '"text"', "{", "", "[" * 100_000)] == [None] * 5
