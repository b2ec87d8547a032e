import json

import pytest

from distil_dagster.config.sections import TraceProcessing
from distil_dagster.data.examples import Example
from distil_dagster.data.folder import JobFolder
from distil_dagster.data.messages import Message
from distil_dagster.errors import DataError
from distil_dagster.traces.ingest import SplitTrace, Traces, empty_traces
from distil_dagster.traces.relabel import RelabelledExample, RelabelledTraces
from distil_dagster.traces.seeds import build_seed_data


def rows(*pairs):
    return [{"question": question, "answer": answer} for question, answer in pairs]


def trace(line, text, part="unstructured", image=None):
    user = Message(role="user", content=text, images=(image,) if image else ())
    messages = (user, Message(role="assistant", content="bills"))
    return SplitTrace(part=part, file="traces.jsonl", line=line, messages=messages)


def labelled(line, text, part="train", answer="bills"):
    messages = (Message(role="user", content=text), Message(role="assistant", content=answer))
    return RelabelledExample(
        part=part,
        file="traces.jsonl",
        line=line,
        messages=messages,
        logged_answers=("parcels",),
        logged_answer="parcels",
        answer=answer,
        decided_by="single",
    )


@pytest.fixture
def build(tmp_path, task):
    def seeds(files=None, traces=None, relabelled=(), **settings):
        for name, lines in (files or {}).items():
            (tmp_path / name).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        return build_seed_data(
            JobFolder(tmp_path),
            traces or empty_traces("none"),
            RelabelledTraces(list(relabelled), []),
            task,
            TraceProcessing(**settings),
            max_total_length=100,
        )

    return seeds


def aside(seeds):
    return {f"{row.file}:{row.line}": row.reason for row in seeds.set_aside}


def test_traces_and_the_folders_own_rows_are_joined(build):
    files = {"train.jsonl": rows(("mine", "garden")), "test.jsonl": rows(("tested", "bills"))}
    seeds = build(files, relabelled=[labelled(3, "logged")])
    assert [example.source for example in seeds.train] == ["traces.jsonl:3", "train.jsonl:1"]
    assert seeds.train[0].logged_answers == ("parcels",)
    assert [example.source for example in seeds.test] == ["test.jsonl:1"]


def test_a_given_test_set_is_left_as_it_is_and_training_rows_give_way(build):
    files = {
        "train.jsonl": rows(("Where is it?", "bills"), ("other", "bills"), ("Other!", "bills")),
        "test.jsonl": rows(("WHERE IS IT", "parcels")),
    }
    seeds = build(files)
    assert [example.question for example in seeds.test] == ["WHERE IS IT"]
    assert [example.question for example in seeds.train] == ["other"]
    assert aside(seeds) == {"train.jsonl:1": "in_test_set", "train.jsonl:3": "duplicate"}


def test_rows_that_do_not_satisfy_the_task_are_set_aside_with_the_reason(build):
    files = {
        "train.jsonl": rows(("a", "bills"), ("b", "nonsense"), ("c" * 100, "bills")),
        "test.jsonl": rows(("d", "bills")),
    }
    assert aside(build(files)) == {"train.jsonl:2": "not_a_class", "train.jsonl:3": "too_long"}


def test_traces_that_are_no_seeds_become_texts_behind_the_folders_own(build):
    files = {
        "train.jsonl": rows(("a", "bills")),
        "test.jsonl": rows(("tested", "bills")),
        "unstructured.jsonl": [{"context": "own text"}, {"context": ""}],
    }
    seeds = build(
        files, Traces([trace(1, "left over"), trace(2, "Tested!"), trace(3, "beyond")], []), max_unstructured=2
    )
    assert [(row.text, row.source) for row in seeds.unstructured] == [
        ("own text", "unstructured.jsonl:1"),
        ("left over", "traces.jsonl:1"),
    ]
    assert aside(seeds) == {
        "unstructured.jsonl:2": "bad_row",
        "traces.jsonl:2": "in_test_set",
        "traces.jsonl:3": "beyond_max_unstructured",
    }


def test_images_stay_with_the_text_beside_them(build):
    files = {"train.jsonl": rows(("a", "bills")), "test.jsonl": rows(("tested", "bills"))}
    (row,) = build(files, Traces([trace(1, "see this", image="https://example.org/a.png")], [])).unstructured
    assert (row.text, row.images) == ("see this", ("https://example.org/a.png",))


def test_conversations_that_are_unstructured_data_stay_whole_and_training_seeds_are_among_them(build):
    files = {"train.jsonl": rows(("a", "bills")), "test.jsonl": rows(("tested", "bills"))}
    found = Traces([trace(1, "left over"), trace(2, "seed", "train"), trace(3, "held out", "test")], [])
    seeds = build(files, found, observation_format="unstructured_with_openai_messages")
    assert [row.text for row in seeds.unstructured] == [
        "User: left over\nAssistant: bills",
        "User: seed\nAssistant: bills",
    ]


@pytest.mark.parametrize(("missing", "message"), [("train", "nothing to train on"), ("test", "nothing to test on")])
def test_a_job_without_one_of_the_two_is_an_error_that_says_what_to_give(build, missing, message):
    files = {f"{name}.jsonl": rows(("a" + name, "bills")) for name in ("train", "test") if name != missing}
    with pytest.raises(DataError, match=f"{message}.*{missing}.jsonl"):
        build(files)


def test_few_rows_and_missing_labels_are_warned_of(build):
    files = {"train.jsonl": rows(("a", "bills")), "test.jsonl": rows(("b", "bills"))}
    warnings = build(files).warnings
    assert any(warning.startswith("only 1 train rows") for warning in warnings)
    assert "no test row of parcels, garden" in warnings


def test_a_context_column_that_the_task_does_not_use_is_left_out(build):
    line = {"question": "a", "answer": "bills", "context": "a note"}
    seeds = build({"train.jsonl": [line], "test.jsonl": rows(("b", "bills"))})
    assert seeds.train == [
        Example(
            messages=(Message(role="user", content="a"), Message(role="assistant", content="bills")),
            source="train.jsonl:1",
        )
    ]
