import json
from typing import get_args

import pytest

from distil_dagster.config.sections import ObservationFormat
from distil_dagster.data.normalise import Unreadable
from distil_dagster.traces.formats import reader_of
from distil_dagster.traces.formats.hints import fitting_format

TURNS = [{"role": "user", "content": "Where is my parcel?"}, {"role": "assistant", "content": "parcels"}]
LINES = {
    "openai_messages": {"messages": TURNS},
    "langfuse": {"id": "1", "input": TURNS[:1], "output": TURNS[1]},
    "unstructured_with_openai_messages": {"context": json.dumps({"messages": TURNS})},
}


@pytest.mark.parametrize("fitting", LINES)
@pytest.mark.parametrize("expected", get_args(ObservationFormat))
def test_a_line_of_another_format_names_the_format_that_reads_it(expected, fitting):
    found = reader_of(expected)(LINES[fitting])
    if fitting == expected or (fitting, expected) == ("openai_messages", "openai_messages_with_images"):
        assert not isinstance(found, Unreadable)
    else:
        assert isinstance(found, Unreadable)
        assert found.reason == "wrong_format"
        assert found.detail.endswith(f": it looks like observation_format {fitting}")


def test_a_line_that_no_format_reads_says_what_it_has():
    found = reader_of("langfuse")({"prompt": "p", "completion": "c"})
    assert found == Unreadable("wrong_format", "langfuse needs a key input; the line has prompt, completion")
    assert reader_of("langfuse")({}) == Unreadable("wrong_format", "langfuse needs a key input; the line has no keys")


@pytest.mark.parametrize("context", ["A passage.", "{broken", "[1]", "{}", None, 7])
def test_a_context_without_messages_looks_like_no_format(context):
    assert fitting_format({"context": context}) is None


@pytest.mark.parametrize("context", [TURNS, {"messages": TURNS}, json.dumps(TURNS)])
def test_a_conversation_as_context_is_recognised_in_all_its_forms(context):
    assert fitting_format({"context": context}) == "unstructured_with_openai_messages"
