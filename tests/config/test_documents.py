import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.config.documents import Document, dotted, read_document
from distil_dagster.errors import ConfigError

Write = Callable[..., Path]

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_document(path)
    assert len(caught.value.problems) == 1
    return str(caught.value).removeprefix(str(path))


def test_a_yaml_file_gives_its_content_and_the_line_of_each_key(write: Write) -> None:
    document = read_document(write("# comment\nbase:\n  task: x\n\n  list:\n  - 1\n  - {deep: 2}\n"))

    assert document.content == {"base": {"task": "x", "list": [1, {"deep": 2}]}}
    assert document.lines == {
        ("base",): 2,
        ("base", "task"): 3,
        ("base", "list"): 5,
        ("base", "list", 0): 6,
        ("base", "list", 1): 7,
        ("base", "list", 1, "deep"): 7,
    }


def test_a_json_file_gives_its_content_and_the_line_of_each_key(write: Write) -> None:
    text = '{\n  "base": {\n    "task": "x",\n    "list": [\n      "a",\n      {"deep": 2}]}}'
    document = read_document(write(text, "c.json"))

    assert document.content == {"base": {"task": "x", "list": ["a", {"deep": 2}]}}
    assert document.lines == {
        ("base",): 2,
        ("base", "task"): 3,
        ("base", "list"): 4,
        ("base", "list", 0): 5,
        ("base", "list", 1, "deep"): 6,
    }


def test_tabs_may_indent_json(write: Write) -> None:
    document = read_document(write('{\n\t"a": {\n\t\t"b": 1\n\t}\n}\n', "c.json"))

    assert document.content == {"a": {"b": 1}}
    assert document.lines["a", "b"] == 3


def test_brackets_quotes_and_colons_within_json_text_mean_nothing(write: Write) -> None:
    document = read_document(write('{"a": "}],{\\"b\\": 1",\n"c:": ["\\\\", "]"],\n"d": 0}', "c.json"))

    assert set(document.lines) == {("a",), ("c:",), ("c:", 0), ("c:", 1), ("d",)}
    assert document.lines["d",] == 3


@pytest.mark.parametrize("name", ["c.yaml", "c.yml", "c.json"])
def test_a_byte_order_mark_is_no_part_of_the_text(write: Write, name: str) -> None:
    assert read_document(write('\ufeff{"a": 1}', name)).content == {"a": 1}


@pytest.mark.parametrize("name", ["c.yaml", "c.json"])
@pytest.mark.parametrize("text", ["", "\n", "  \n\n"])
def test_an_empty_file_holds_nothing(write: Write, name: str, text: str) -> None:
    assert read_document(write(text, name)).content is None


def test_keys_of_yaml_are_text_even_where_yaml_reads_more_into_them(write: Write) -> None:
    assert read_document(write("on: 1\n2: 3\nnull: 4\n1.5: 5\n")).content == {"on": 1, "2": 3, "null": 4, "1.5": 5}


@pytest.mark.parametrize(
    ("name", "text"),
    [("c.yaml", "a: 1\nb:\n  x: 1\nb:\n  x: 2\n"), ("c.json", '{"a": 1,\n"b":\n{"x": 1},\n"b": {"x": 2}}')],
)
def test_a_key_given_twice_is_one_problem_at_its_second_place(write: Write, name: str, text: str) -> None:
    (problem,) = read_document(write(text, name)).repeated

    assert (problem.line, problem.key) == (4, "b")
    assert "first on line 2" in problem.message


def test_the_same_key_in_two_places_is_not_given_twice(write: Write) -> None:
    assert read_document(write("a: {x: 1}\nb: {x: 1}\nc: [{x: 1}, {x: 2}]\n")).repeated == ()
    assert read_document(write('{"a": {"x": 1}, "b": {"x": 1}, "c": [{"x": 1}, {"x": 2}]}', "c.json")).repeated == ()


def test_yaml_anchors_and_merges_work(write: Write) -> None:
    document = read_document(write("shared: &s\n  x: 1\n  y: 2\nown:\n  <<: *s\n  y: 3\n"))

    assert document.content["own"] == {"x": 1, "y": 3}
    assert document.repeated == ()


def test_a_problem_stands_on_the_line_of_the_nearest_known_key() -> None:
    document = Document("c.yaml", {}, {("a",): 3})

    assert document.problem(("a", "b", 0), "is wrong", 7).line == 3
    assert document.problem(("z",), "is wrong").line is None
    assert str(document.problem(("a", "b", 0), "is wrong")) == "c.yaml:3: a.b.0: is wrong"


def test_the_whole_document_is_called_file() -> None:
    assert dotted(()) == "file"


def test_broken_yaml_is_refused_with_its_line(write: Write) -> None:
    assert refusal(write("a: 1\nb: [1, 2\nc: 3\n")).startswith(":3: syntax: not valid YAML: ")


def test_broken_json_is_refused_with_its_line(write: Write) -> None:
    assert refusal(write('{"a": 1,\n"b": }', "c.json")) == ":2: syntax: not valid JSON: Expecting value"


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object:os.system {}",
        "a: !!int x",
        "a: !!bool x",
        "a: !!timestamp x",
        "a: 2024-99-99",
        "? [1, 2]\n: 3",
        "--- 1\n--- 2\n",
        "\x00",
        "[" * 5000,
        "*nowhere",
    ],
)
def test_whatever_yaml_stumbles_over_is_refused_as_ours(write: Write, text: str) -> None:
    assert "not valid YAML" in refusal(write(text))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' + "1" * 5000 + "}", "{} {}", "{'a': 1}", "// x\n{}"])
def test_whatever_json_stumbles_over_is_refused_as_ours(write: Write, text: str) -> None:
    assert "not valid JSON" in refusal(write(text, "c.json"))


def test_a_missing_file_a_folder_and_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "bytes.yaml").write_bytes(b"a: \xff\xfe")

    assert refusal(tmp_path / "none.yaml") == ": file: does not exist"
    assert refusal(tmp_path / "folder.yaml").startswith(": file: cannot be read: ")
    assert refusal(tmp_path / "bytes.yaml").startswith(": file: cannot be read: ")


@pytest.mark.parametrize("name", ["c.toml", "c"])
def test_a_file_of_another_kind_is_refused(write: Write, name: str) -> None:
    assert refusal(write("", name)).startswith(": file: must be named .yaml, .yml or .json")


@given(content=PLAIN)
def test_json_is_read_as_pythons_own_reader_reads_it(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "plain.json"
    path.write_text(json.dumps(content, indent="\t"), encoding="utf-8")

    document = read_document(path)

    assert document.content == content
    assert document.repeated == ()


@given(content=PLAIN)
def test_every_key_of_json_has_the_line_that_it_stands_on(
    tmp_path_factory: pytest.TempPathFactory, content: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "lines.json"
    text = json.dumps({"content": content}, indent=1)
    path.write_text(text, encoding="utf-8")
    rows = text.split("\n")

    for key, line in read_document(path).lines.items():
        if isinstance(key[-1], str):
            assert rows[line - 1].strip().startswith(json.dumps(key[-1]) + ":")


@given(content=st.dictionaries(st.from_regex(r"[a-z_]{1,9}", fullmatch=True), PLAIN))
def test_yaml_is_read_as_pyyamls_own_reader_reads_it(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "plain.yaml"
    text = yaml.safe_dump(content, allow_unicode=True)
    path.write_text(text, encoding="utf-8", newline="")

    document = read_document(path)

    assert set(document.content) == set(content)
    assert document.repeated == ()
