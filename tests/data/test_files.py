import json

from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.data.files import read_records, split_lines
from distil_dagster.data.folder import JobFolder


def test_separators_inside_strings_do_not_end_a_record(tmp_path):
    texts = ["a\u2028b", "c\u2029d", "e\u0085f", "g\x0bh"]
    path = tmp_path / "rows.jsonl"
    path.write_text(
        "\n".join(json.dumps({"text": text}, ensure_ascii=False) for text in texts) + "\n", encoding="utf-8"
    )
    assert [record.values["text"] for record in read_records(path).records] == texts


def test_every_line_is_a_record_or_set_aside_with_its_number(tmp_path):
    lines = [
        b'{"a": 1}',
        b"",
        b"   ",
        b"null",
        b"[]",
        b'{"a": ',
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b"\xef\xbb\xbf" + b'{"a": 2}',
    ]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join(lines))
    found = read_records(path)
    assert [record.line for record in found.records] == [1, 9]
    assert [(row.line, row.reason) for row in found.set_aside] == [
        (2, "not_json"),
        (3, "not_json"),
        (4, "not_an_object"),
        (5, "not_an_object"),
        (6, "not_json"),
        (7, "not_utf8"),
        (8, "not_utf8"),
    ]


def test_the_newline_at_the_end_does_not_start_a_line():
    assert list(split_lines(b"a\nb\n")) == [(1, b"a"), (2, b"b")]
    assert list(split_lines(b"")) == []


def test_csv_drops_the_unnamed_index_column_and_sets_short_rows_aside(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text(',question,answer\n0,"Where is\nmy parcel?",parcels\n1,alone\n', encoding="utf-8-sig")
    found = read_records(path)
    assert [record.values for record in found.records] == [{"question": "Where is\nmy parcel?", "answer": "parcels"}]
    assert [(row.line, row.reason) for row in found.set_aside] == [(4, "bad_row")]


@given(st.binary())
def test_arbitrary_bytes_never_raise_and_no_line_is_lost(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("bytes")
    (folder / "train.jsonl").write_bytes(content)
    (folder / "unstructured.csv").write_bytes(content)
    found = read_records(folder / "train.jsonl")
    assert len(found.records) + len(found.set_aside) == len(list(split_lines(content)))
    assert JobFolder(folder).train() is not None
    assert JobFolder(folder).unstructured() is not None


@given(st.lists(st.dictionaries(st.text(), st.text() | st.integers() | st.none())))
def test_json_lines_read_back_as_they_were(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = read_records(path)
    assert [record.values for record in found.records] == [
        row for row in rows if json.dumps(row).isascii() and _storable(row)
    ]


def _storable(row) -> bool:
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
