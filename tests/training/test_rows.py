import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distil_dagster.errors import TrainingError
from distil_dagster.training.rows import ChatRow, Written, read_rows, write_rows


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5))
def test_rows_come_back_as_they_were_written_whatever_their_text(tmp_path, texts):
    rows = [Written(id=str(number), text=text, finish_reason="stop") for number, text in enumerate(texts)]
    write_rows(tmp_path / "rows.jsonl", rows)
    assert read_rows(tmp_path / "rows.jsonl", Written) == rows


def test_tools_and_calls_come_back(tmp_path):
    call = {"type": "function", "function": {"name": "lock", "arguments": {"door": "front"}}}
    row = ChatRow(
        id="1",
        prompt=({"role": "user", "content": "lock it"},),
        completion=({"role": "assistant", "content": "", "tool_calls": [call]},),
        tools=({"type": "function", "function": {"name": "lock", "parameters": {}}},),
    )
    write_rows(tmp_path / "rows.jsonl", [row])
    assert read_rows(tmp_path / "rows.jsonl", ChatRow) == [row]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(TrainingError, match=r"none\.jsonl: missing"):
        read_rows(tmp_path / "none.jsonl", ChatRow)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"id": "2", "prompt": []}', "prompt: "),
        ('{"id": "2", "prompt": [{}], "answer": "x"}', "answer: "),
        ("not json", "line: "),
        ('{"id": "2", "prompt": [{}], "completion": [{}, {}]}', "completion: "),
    ],
)
def test_a_bad_line_is_named_with_file_line_and_key(tmp_path, line, problem):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"id": "1", "prompt": [{"role": "user", "content": "?"}]}\n\n' + line + "\n")
    with pytest.raises(TrainingError, match=rf"rows\.jsonl:3: {problem}"):
        read_rows(path, ChatRow)
