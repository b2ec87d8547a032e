import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traces.drifting import LETTERS, letters, row, traces

from distil_dagster.config.sections import TraceProcessing
from distil_dagster.data.examples import SetAside
from distil_dagster.data.messages import Message
from distil_dagster.traces.ingest import SplitTrace, Traces, ingest_traces
from distil_dagster.traces.novelty import old_and_new


@pytest.fixture
def ingested(tmp_path, task):
    def run(lines, **settings):
        path = tmp_path / "traces.jsonl"
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return ingest_traces(path, task, TraceProcessing(**settings), max_total_length=100_000, seed=1)

    return run


def line(text, label="bills"):
    return json.dumps({"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": label}]})


def test_a_grown_file_is_new_where_it_grew(ingested, task):
    old = [line(f"question {n}") for n in range(20)]
    sides = old_and_new(ingested(old), ingested([*old, line("another one"), line("QUESTION 3?")]), task)
    assert [asked.text for asked in sides.new.rows] == ["another one"]
    assert (len(sides.old.rows), sides.unchanged) == (20, 20)


def test_a_replaced_file_is_all_new(ingested, task):
    sides = old_and_new(ingested([line("one"), line("two")]), ingested([line("three")]), task)
    assert ([asked.text for asked in sides.new.rows], sides.unchanged) == (["three"], 0)


def test_a_changed_answer_makes_no_new_trace(task):
    sides = old_and_new(traces([("where is it", "bills")]), traces([("Where is it?", "parcels")]), task)
    assert (sides.new.rows, sides.unchanged) == ([], 1)


@pytest.mark.parametrize("length", [10, 3_000])
def test_traces_beyond_the_largest_number_are_known_again(ingested, task, length):
    """Which are beyond it is drawn anew for a grown file; of long ones only the beginning was kept."""
    limits = {"num_traces_as_training_base": 3, "num_traces_as_testing_base": 1, "max_unstructured": 4}
    old = [line(f"question {n} " + "x" * length) for n in range(20)]
    before, now = ingested(old, **limits), ingested([*old, line("y")], **limits)
    assert {row.line for row in before.rows} != {row.line for row in now.rows}
    assert [asked.text for asked in old_and_new(before, now, task).new.rows] in ([], ["y"])


def test_new_traces_beyond_the_largest_number_count(ingested, task):
    limits = {"num_traces_as_training_base": 3, "num_traces_as_testing_base": 1, "max_unstructured": 0}
    old = [line(f"question {n}") for n in range(20)]
    grown = [*old, *(line(f"new {n}") for n in range(9))]
    sides = old_and_new(ingested(old, **limits), ingested(grown, **limits), task)
    assert (len(sides.old.rows), len(sides.new.rows)) == (20, 9)


def test_unreadable_lines_are_new_once_each(ingested, task):
    old = [line("one"), "{", ""]
    sides = old_and_new(ingested(old), ingested([*old, "{", "{", "[]", line("no answer", ""), line("one")]), task)
    assert (sides.old.unreadable, sides.new.unreadable) == (2, 4)
    assert (sides.old.lines, sides.new.lines) == (3, 4)


def test_repetitions_and_long_traces_are_no_sign_of_another_format(task):
    aside = [SetAside(file="t", line=1, reason=reason, raw=reason) for reason in ("duplicate", "too_long")]
    assert old_and_new(Traces([], []), Traces([], aside), task).new.unreadable == 0


def test_labels_are_the_classes_that_the_logged_model_meant(task):
    found = old_and_new(Traces([], []), traces([("a", "Bills."), ("b", "no idea")]), task).new.rows
    assert [asked.labels for asked in found] == [("bills",), ("no idea",)]


def test_labels_are_the_tools_that_are_called_each_once_a_trace(boat_task, boat_hire):
    messages = (*boat_hire(3).messages, *boat_hire(4).messages)
    trace = SplitTrace(part="train", file="t", line=1, messages=messages)
    (asked,) = old_and_new(Traces([], []), Traces([trace], []), boat_task).new.rows
    assert asked.labels == ("find_boat", "hire_boat")
    assert asked.text.splitlines()[:2] == ["We are 3 and want to row.", "Fine, for three hours."]


def test_traces_with_images_are_known_by_their_images_too(task):
    def pictured(address):
        messages = (Message(role="user", content="what is it", images=(address,)),)
        return Traces([SplitTrace(part="unstructured", file="t", line=1, messages=messages)], [])

    assert len(old_and_new(pictured("a.png"), pictured("b.png"), task).new.rows) == 1
    assert old_and_new(pictured("a.png"), pictured("a.png"), task).new.rows == []


def test_whether_conversations_are_cut_into_turns_is_as_it_was_at_ingestion(task):
    turns = (*row("one", "bills").messages, *row("two", "parcels").messages)
    held = Traces([SplitTrace(part="train", file="t", line=1, messages=turns)], [])
    cut, whole = (old_and_new(Traces([], []), held, task, single).new.rows[0] for single in (True, False))
    assert (len(cut.key), len(whole.key)) == (2, 1)


@given(st.integers(0, 10), st.integers(0, 10), st.randoms())
def test_the_order_of_rows_changes_nothing(old, new, random):
    first, second = letters(1, old), letters(2, new)
    shuffled = [random.sample(pairs, len(pairs)) for pairs in (first, [*first, *second])]
    plain = old_and_new(traces(first), traces([*first, *second]), LETTERS)
    assert old_and_new(*map(traces, shuffled), LETTERS) == plain
