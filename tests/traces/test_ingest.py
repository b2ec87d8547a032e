import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.config.sections import TraceProcessing
from distil_dagster.data.examples import Example, Trace
from distil_dagster.data.messages import Message
from distil_dagster.traces.ingest import SplitSizes, ingest_traces, split_traces


def trace_line(question="q", answer="bills", system="You sort letters."):
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return json.dumps({"messages": [{"role": "system", "content": system}, *messages]})


def asks(question):
    return Example(messages=(Message(role="user", content=question), Message(role="assistant", content="bills")))


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
    found = ingest([trace_line(f"question {n}") for n in range(5)], held_out=[asks("QUESTION 3!")])
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


@given(st.integers(0, 30), st.integers(0, 10), st.integers(0, 10), st.integers(0, 10), st.integers())
def test_a_trace_stands_in_exactly_one_part(count, train, test, unstructured, seed):
    traces = [Trace(file="t", line=n, messages=(Message(role="user", content=str(n)),)) for n in range(count)]
    rows, beyond = split_traces(traces, SplitSizes(train, test, unstructured), seed)
    assert sorted([row.line for row in rows] + [row.line for row in beyond]) == list(range(count))
    assert sum(row.part == "train" for row in rows) == min(train, count)


def image_line(url="https://example.org/a.png"):
    parts = [{"type": "text", "text": "what is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    messages = [{"role": "user", "content": parts}, {"role": "assistant", "content": "bills"}]
    return json.dumps({"messages": messages})


def test_a_trace_with_an_image_is_no_seed_but_material_for_a_teacher_that_sees(ingest):
    settings = {"observation_format": "openai_messages_with_images"}
    lines = [image_line(), *(trace_line(f"question {n}") for n in range(3))]
    seen = ingest(lines, settings, teacher_sees_images=True)
    assert [trace.line for trace in seen.part("unstructured")] == [1]
    assert seen.rows[-1].images == ("https://example.org/a.png",)
    (unseen,) = ingest(lines, settings).set_aside
    assert (unseen.line, unseen.reason) == (1, "image_for_text_models")


@pytest.mark.parametrize(("override", "seeds"), [(None, 2), (True, 2), (False, 1)])
def test_conversations_are_cut_into_exchanges_unless_told_otherwise(task, override, seeds):
    turns = [("user", "one"), ("assistant", "bills"), ("user", "two"), ("assistant", "parcels")]
    messages = [Message(role=role, content=text) for role, text in turns]
    assert len(task.examples_of(messages, override)) == seeds
