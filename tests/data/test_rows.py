import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.data.folder import JobFolder
from distil_dagster.data.messages import Message, ToolCall
from distil_dagster.data.rows import read_examples
from distil_dagster.errors import DataError


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_flat_rows_become_a_question_and_its_answer(tmp_path):
    found = read_examples(
        write(tmp_path / "train.jsonl", {"question": "q", "answer": "a", "context": "c", "reasoning": None})
    )
    (example,) = found.examples
    assert (example.question, example.answer, example.context, example.source) == ("q", "a", "c", "train.jsonl:1")


def test_message_rows_keep_the_conversation(tmp_path):
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    (example,) = read_examples(write(tmp_path / "train.jsonl", {"messages": messages})).examples
    assert (example.question, example.answer) == ("q", "a")


def test_both_generations_of_a_row_are_the_same_example(tmp_path):
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    (one,) = read_examples(write(tmp_path / "one.jsonl", {"messages": messages})).examples
    (other,) = read_examples(write(tmp_path / "other.jsonl", {"question": "q", "answer": "a"})).examples
    assert one.id == other.id


@pytest.mark.parametrize("answer", [{"name": "f", "parameters": {"x": 1}}, '{"name": "f", "parameters": {"x": 1}}'])
def test_a_tool_answer_is_read_as_object_and_as_string(tmp_path, answer):
    (example,) = read_examples(write(tmp_path / "train.jsonl", {"question": "q", "answer": answer})).examples
    assert example.target.tool_calls == (ToolCall(name="f", arguments={"x": 1}),)


def test_a_question_that_is_a_conversation_is_read_as_one(tmp_path):
    question = json.dumps(
        [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}, {"role": "user", "content": "q"}]
    )
    (example,) = read_examples(write(tmp_path / "train.jsonl", {"question": question, "answer": "a"})).examples
    assert [message.role for message in example.messages] == ["user", "assistant", "user", "assistant"]


def test_a_question_that_only_looks_like_json_stays_text(tmp_path):
    (example,) = read_examples(write(tmp_path / "train.jsonl", {"question": "[1, 2]", "answer": "a"})).examples
    assert example.question == "[1, 2]"


def test_rows_without_question_or_answer_are_set_aside_with_the_line(tmp_path):
    found = read_examples(
        write(tmp_path / "train.jsonl", {"question": "q", "answer": "a"}, {"question": "q"}, {"answer": "a"})
    )
    assert [(row.line, row.detail) for row in found.set_aside] == [(2, "answer is missing"), (3, "question is missing")]


def test_two_files_of_one_name_are_an_error(tmp_path):
    write(tmp_path / "train.jsonl")
    (tmp_path / "train.csv").write_text("question,answer\n")
    with pytest.raises(DataError, match="keep one of them"):
        JobFolder(tmp_path).train()


def test_a_csv_column_of_messages_holds_json(tmp_path):
    path = tmp_path / "train.csv"
    messages = json.dumps([{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]).replace('"', '""')
    path.write_text(f'messages\n"{messages}"\n', encoding="utf-8")
    (example,) = read_examples(path).examples
    assert example.answer == "a"


CALL = {"type": "function", "function": {"name": "set_timer", "arguments": {"minutes": 5}}}


@pytest.mark.parametrize("question_as", [json.dumps, list], ids=["text", "list"])
@pytest.mark.parametrize("answer_as", [json.dumps, dict], ids=["text", "object"])
def test_a_conversation_with_tool_calls_is_read_in_either_form(tmp_path, question_as, answer_as):
    question = [
        {"role": "user", "content": [{"type": "text", "text": "five"}, {"type": "text", "text": "minutes"}]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": "done"},
        {"role": "user", "content": "stop it"},
    ]
    answer = {"name": "stop_timer", "parameters": {}}
    row = {"question": question_as(question), "answer": answer_as(answer)}
    (example,) = read_examples(write(tmp_path / "train.jsonl", row)).examples
    assert example.messages == (
        Message(role="user", content="five\nminutes"),
        Message(role="assistant", tool_calls=(ToolCall(name="set_timer", arguments={"minutes": 5}),)),
        Message(role="tool", content="done"),
        Message(role="user", content="stop it"),
        Message(role="assistant", tool_calls=(ToolCall(name="stop_timer"),)),
    )
    assert (example.question, json.loads(example.answer)) == ("stop it", answer)


def test_a_message_row_may_answer_with_null_content_and_a_call(tmp_path):
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": None, "tool_calls": [CALL]}]
    (example,) = read_examples(write(tmp_path / "train.jsonl", {"messages": messages})).examples
    assert json.loads(example.answer) == {"name": "set_timer", "parameters": {"minutes": 5}}


def test_a_conversation_that_cannot_be_read_is_set_aside_not_asked_as_text(tmp_path):
    question = json.dumps([{"role": "user", "content": "hi"}, {"role": "robot", "content": "ho"}])
    (row,) = read_examples(write(tmp_path / "train.jsonl", {"question": question, "answer": "a"})).set_aside
    assert (row.reason, row.detail) == ("bad_message", "question, message 2: unknown role 'robot'")


@pytest.mark.parametrize("answer", ['{"name": "f"}', '{"name": "f", "parameters": 3}', '{"name": 1, "parameters": {}}'])
def test_an_answer_that_only_resembles_a_call_stays_text(tmp_path, answer):
    (example,) = read_examples(write(tmp_path / "train.jsonl", {"question": "q", "answer": answer})).examples
    assert example.target == Message(role="assistant", content=answer)


@pytest.mark.parametrize("answer", [["x", "y"], {"city": "Ulm"}, 7, True])
def test_an_answer_that_is_no_text_is_kept_as_json(tmp_path, answer):
    (example,) = read_examples(write(tmp_path / "train.jsonl", {"question": "q", "answer": answer})).examples
    assert json.loads(example.answer) == answer


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["role", "content", "name", "parameters"]), inner),
)


@given(st.lists(st.dictionaries(st.sampled_from(["question", "answer", "context", "messages"]), VALUES), max_size=4))
def test_every_row_becomes_an_example_or_is_set_aside(tmp_path_factory, rows):
    found = read_examples(write(tmp_path_factory.getbasetemp() / "any_rows.jsonl", *rows))
    assert len(found.examples) + len(found.set_aside) == len(rows)
