import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tool_calls import NAMES, json_values

from distil_dagster.data.messages import ToolCall
from distil_dagster.evaluation.metrics import BINARY_METRICS, METRIC_TITLES
from distil_dagster.evaluation.tool_metrics import binary_tool_call, same_json, staged_tool_call, tool_metrics
from distil_dagster.tasks.base import Parsed
from distil_dagster.tasks.tool_syntax import TOOL_FORMATS, render_calls
from distil_dagster.tasks.toolbox import Toolbox

LIGHT = {
    "name": "set_light",
    "parameters": {
        "type": "object",
        "properties": {
            "room": {"type": "string"},
            "level": {"type": "number", "default": 100},
            "fade": {"type": "object", "properties": {"seconds": {"type": "number", "default": 0}}},
            "colours": {"type": "array", "items": {"type": "string"}},
        },
    },
}
METRICS = tool_metrics(Toolbox([LIGHT, {"name": "all_off"}]))
EQUIVALENCE, BINARY, STAGED = "tool_call_equivalence", "binary_tool_call", "staged_tool_call"

# A call of the tool or nearly so: names and values that often meet.
VALUES = st.sampled_from(
    [0, 0.0, 1, 1.0, True, False, None, "1", 100, 100.0, [], [1, True], {}, {"seconds": 0}, {"a": [1]}]
)
CALLS = st.builds(
    ToolCall,
    name=st.sampled_from(["set_light", "all_off", "unknown"]),
    arguments=st.dictionaries(st.sampled_from(["room", "level", "fade", "other"]), VALUES, max_size=3),
)


def text_of(call: ToolCall) -> str:
    return json.dumps(call.as_answer())


def scores(reference: ToolCall, predicted: ToolCall | str) -> dict[str, float]:
    text = predicted if isinstance(predicted, str) else text_of(predicted)
    return {name: metric(text_of(reference), Parsed(text, valid=True)) for name, metric in METRICS.items()}


def light(**arguments: object) -> ToolCall:
    return ToolCall(name="set_light", arguments=arguments)


def test_there_is_a_metric_for_each_of_the_three_names():
    assert set(METRICS) == {EQUIVALENCE, BINARY, STAGED}
    assert set(METRICS) <= set(METRIC_TITLES)
    assert set(METRICS) & BINARY_METRICS == {EQUIVALENCE, BINARY}


@pytest.mark.parametrize(
    ("predicted", "equivalent", "binary", "staged"),
    [
        (light(room="hall", level=100), 1.0, 1.0, 1.00),
        (light(level=100.0, room="hall"), 1.0, 1.0, 1.00),
        (light(room="hall"), 1.0, 0.0, 0.50),
        (light(room="hall", level=50), 0.0, 0.0, 0.75),
        (light(room="Hall", level=100), 0.0, 0.0, 0.75),
        (light(room="hall", level="100"), 0.0, 0.0, 0.75),
        (light(room="hall", level=100, colours=[]), 0.0, 0.0, 0.50),
        (ToolCall(name="all_off"), 0.0, 0.0, 0.25),
        (ToolCall(name="dim", arguments={"room": "hall", "level": 100}), 0.0, 0.0, 0.25),
        ("Turn the light on.", 0.0, 0.0, 0.0),
        ("", 0.0, 0.0, 0.0),
        ('{"room": "hall"}', 0.0, 0.0, 0.0),
    ],
)
def test_each_metric_gives_its_own_credit(predicted, equivalent, binary, staged):
    assert scores(light(room="hall", level=100), predicted) == {EQUIVALENCE: equivalent, BINARY: binary, STAGED: staged}


def test_defaults_are_filled_into_both_sides_and_into_objects():
    bare, full = light(room="hall", fade={}), light(room="hall", level=100, fade={"seconds": 0})
    assert scores(bare, full)[EQUIVALENCE] == scores(full, bare)[EQUIVALENCE] == 1.0
    assert scores(bare, full)[BINARY] == 0.0


def test_two_calls_are_not_the_answer_even_if_both_are_right():
    call = light(room="hall")
    assert set(scores(call, f"[{text_of(call)}, {text_of(call)}]").values()) == {0.0}


def test_a_call_that_breaks_its_schema_is_scored_for_what_is_right_in_it():
    reference = text_of(light(room="hall"))
    assert METRICS[STAGED](reference, Parsed(text_of(light(room=7)), valid=False, problem="7 is not a string")) == 0.75


@pytest.mark.parametrize("tool_format", TOOL_FORMATS)
def test_a_call_in_its_familys_syntax_is_scored_as_the_call(tool_format):
    call = light(room="hall", fade={"seconds": 1.5})
    assert set(scores(call, render_calls(tool_format, [call])).values()) == {1.0}


@pytest.mark.parametrize("reference", ["switch it off", "", f"[{text_of(light())}, {text_of(light())}]"])
@pytest.mark.parametrize("name", METRICS)
def test_a_reference_that_is_not_one_call_is_an_error(name, reference):
    with pytest.raises(ValueError, match="the reference is not one tool call"):
        METRICS[name](reference, Parsed(text_of(light()), valid=True))


@settings(deadline=None)
@given(st.builds(ToolCall, name=NAMES, arguments=st.dictionaries(NAMES, json_values(), max_size=4)))
def test_equal_calls_score_one_in_all_three(call):
    assert set(scores(call, call).values()) == {1.0}


@settings(deadline=None, max_examples=300)
@given(CALLS, CALLS)
def test_the_metrics_agree_with_each_other(reference, predicted):
    found = scores(reference, predicted)
    assert found[BINARY] <= found[EQUIVALENCE]
    assert found[BINARY] <= found[STAGED]
    assert (found[STAGED] == 1.0) == (found[BINARY] == 1.0)
    assert found[STAGED] >= 0.25
    assert (found[STAGED] == 0.25) == (reference.name != predicted.name)


@settings(deadline=None, max_examples=300)
@given(CALLS, CALLS)
def test_no_metric_cares_which_call_is_the_reference(one, other):
    assert scores(one, other) == scores(other, one)


@settings(deadline=None)
@given(CALLS, CALLS, st.randoms(use_true_random=False))
def test_the_order_of_keys_says_nothing(reference, predicted, rng):
    assert scores(reference, shuffled(predicted, rng)) == scores(reference, predicted)


def shuffled(call: ToolCall, rng: random.Random) -> ToolCall:
    names = list(call.arguments)
    rng.shuffle(names)
    return call.model_copy(update={"arguments": {name: call.arguments[name] for name in names}})


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1.0, True),
        (0.0, -0.0, True),
        (1, True, False),
        (0, False, False),
        (True, True, True),
        (None, None, True),
        (None, False, False),
        ("1", 1, False),
        ([1, 2], [2, 1], False),
        ([1], [True], False),
        ([1], [1.0], True),
        ([1], [1, 1], False),
        ({"a": 1, "b": 2}, {"b": 2.0, "a": 1}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": None}, {}, False),
        ({}, [], False),
    ],
)
def test_json_values_are_equal_as_json_has_it(one, other, same):
    assert same_json(one, other) is same
    assert same_json(other, one) is same


@given(CALLS, CALLS)
def test_the_functions_of_two_calls_are_the_metrics_of_two_texts(reference, predicted):
    found = scores(reference, predicted)
    assert found[BINARY] == binary_tool_call(reference, predicted)
    assert found[STAGED] == staged_tool_call(reference, predicted)
