import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.config.sections import TraceProcessing
from distil_dagster.data.examples import Trace
from distil_dagster.data.messages import Message
from distil_dagster.errors import DataError
from distil_dagster.traces.formats import reader_of
from distil_dagster.traces.ingest import SplitSizes, ingest_traces, input_key, split_traces


def trace_line(question="q", answer="bills", system="You sort letters."):
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return json.dumps({"messages": [{"role": "system", "content": system}, *messages]})


@pytest.fixture
def ingest(tmp_path, task):
    def run(lines, settings=None, **options):
        path = tmp_path / "traces.jsonl"
        path.write_text("\n".join(lines), encoding="utf-8")
        values = {"num_traces_as_training_base": 2, "num_traces_as_testing_base": 1} | (settings or {})
        options = {"max_total_length": 1000, "seed": 1} | options
        return ingest_traces(path, task, TraceProcessing(**values), **options)

    return run


def test_every_line_is_in_one_part_or_set_aside(ingest):
    lines = [trace_line(f"question {n}") for n in range(6)] + [
        "",
        "{",
        trace_line("question 0"),
        trace_line("Question 1?", "parcels"),
    ]
    found = ingest(lines)
    assert found.lines == len(lines) == len(found.rows) + len(found.set_aside)
    assert [len(found.part(part)) for part in ("train", "test", "unstructured")] == [2, 1, 3]
    assert {row.line: row.reason for row in found.set_aside} == {
        7: "not_json",
        8: "not_json",
        9: "duplicate",
        10: "same_question",
    }


def test_equal_seeds_draw_equally_and_others_differently(ingest):
    lines = [trace_line(f"question {n}") for n in range(20)]
    drawn = [[trace.line for trace in ingest(lines, seed=seed).part("train")] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_system_prompts_go_unless_they_are_to_stay(ingest):
    stripped = ingest([trace_line()]).rows[0].messages
    kept = ingest([trace_line()], {"remove_system_prompt_from_traces": False}).rows[0].messages
    assert [message.role for message in stripped] == ["user", "assistant"]
    assert [message.role for message in kept] == ["system", "user", "assistant"]


def test_no_test_traces_are_drawn_where_a_test_set_is_given(ingest):
    found = ingest([trace_line(f"question {n}") for n in range(5)], held_out_questions=["QUESTION 3!"])
    assert found.part("test") == []
    assert [(row.line, row.reason) for row in found.set_aside] == [(4, "in_test_set")]


def test_what_is_beyond_max_unstructured_is_set_aside(ingest):
    found = ingest([trace_line(f"question {n}") for n in range(6)], {"max_unstructured": 1})
    assert len(found.part("unstructured")) == 1
    assert [row.reason for row in found.set_aside] == ["beyond_max_unstructured"] * 2


def test_traces_without_a_question_or_an_answer_are_set_aside_with_the_reason(ingest):
    def messages(*turns):
        return json.dumps({"messages": [{"role": role, "content": text} for role, text in turns]})

    lines = [
        messages(("assistant", "Hello")),
        messages(("user", "q")),
        messages(("user", "q"), ("assistant", None)),
        trace_line("q" * 1000),
    ]
    found = ingest(lines)
    assert [row.detail.split(",")[0] for row in found.set_aside] == [
        "no user turn with text",
        "no answer to the user that this task could learn from",
        "no answer to the user that this task could learn from",
        "1005 characters",
    ]


def test_a_line_of_another_format_says_what_it_has(ingest):
    (row,) = ingest(['{"prompt": "p", "completion": "c"}']).set_aside
    assert (row.reason, row.detail) == (
        "wrong_format",
        "openai_messages needs a key messages; the line has prompt, completion",
    )


def test_an_unknown_format_is_an_error():
    with pytest.raises(DataError, match="langfuse cannot be read"):
        reader_of("langfuse")


@given(st.integers(0, 30), st.integers(0, 10), st.integers(0, 10), st.integers(0, 10), st.integers())
def test_a_trace_stands_in_exactly_one_part(count, train, test, unstructured, seed):
    traces = [Trace(file="t", line=n, messages=(Message(role="user", content=str(n)),)) for n in range(count)]
    rows, beyond = split_traces(traces, SplitSizes(train, test, unstructured), seed)
    assert sorted([row.line for row in rows] + [row.line for row in beyond]) == list(range(count))
    assert sum(row.part == "train" for row in rows) == min(train, count)


def test_the_key_of_a_question_ignores_case_punctuation_and_spacing():
    keys = {
        input_key([Message(role="user", content=text)]) for text in ("Where's it?", " WHERE s  it ", "where's it!\n")
    }
    assert len(keys) == 1
