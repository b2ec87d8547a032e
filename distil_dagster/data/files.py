"""JSONL and CSV files as records with line numbers; what cannot be read is set aside, never lost and never fatal."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distil_dagster.data.examples import SetAside
from distil_dagster.data.normalise import Unreadable, load_json

_RAW_KEPT = 2000


@dataclass(frozen=True)
class Record:
    """One JSON object or CSV row, with the line on which it starts (from 1)."""

    line: int
    values: dict[str, Any]


@dataclass(frozen=True)
class Records:
    """The readable records of a file, and the lines set aside."""

    file: str
    records: list[Record] = field(default_factory=list)
    set_aside: list[SetAside] = field(default_factory=list)


def read_records(path: Path) -> Records:
    """Read `path` as its extension says: `.csv`, or JSONL for everything else.

    Every line of a JSONL file ends up in exactly one of `records` and `set_aside`, blank lines included; the end of the
    last line does not start another.
    """
    return _read_csv(path) if path.suffix == ".csv" else _read_jsonl(path)


def set_aside(file: str, line: int, problem: Unreadable, raw: object) -> SetAside:
    """The row that keeps an unreadable line."""
    return kept_aside(file, line, problem.reason, problem.detail, raw)


def kept_aside(file: str, line: int, reason: str, detail: str, raw: object) -> SetAside:
    """The row that keeps what the pipeline does not go on with, its first 2,000 characters included."""
    text = raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False, default=str)
    return SetAside(file=file, line=line, reason=reason, detail=detail, raw=_storable(text[:_RAW_KEPT]))


def split_lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers, split on the newline byte only.

    `str.splitlines` would also cut at U+2028, U+2029 and U+0085, which are legal inside JSON strings.
    """
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    yield from enumerate(lines, start=1)


def _read_jsonl(path: Path) -> Records:
    found = Records(path.name)
    for number, line in split_lines(path.read_bytes()):
        record = _parse_line(line)
        if isinstance(record, Unreadable):
            found.set_aside.append(set_aside(path.name, number, record, line.decode("utf-8", "replace")))
        else:
            found.records.append(Record(number, record))
    return found


def _parse_line(line: bytes) -> dict[str, Any] | Unreadable:
    try:
        text = line.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        return Unreadable("not_utf8", f"byte {error.start + 1} is not UTF-8")
    if not text.strip():
        return Unreadable("not_json", "blank line")
    try:
        value = load_json(text)
    except UnicodeEncodeError:
        return Unreadable("not_utf8", "holds half of a surrogate pair")
    except ValueError as error:
        return Unreadable("not_json", str(error))
    if not isinstance(value, dict):
        return Unreadable("not_an_object", f"holds {json.dumps(value)[:40]}, not an object")
    return value


def _read_csv(path: Path) -> Records:
    found = Records(path.name)
    text = path.read_bytes().removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").replace("\0", "")
    reader = csv.reader(io.StringIO(text, newline=""))
    header: list[str] | None = None
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return found
        except csv.Error as error:
            found.set_aside.append(set_aside(path.name, line, Unreadable("bad_row", str(error)), ""))
            continue
        if header is None:
            header = row
        elif len(row) != len(header):
            problem = Unreadable("bad_row", f"{len(row)} fields where the header has {len(header)}")
            found.set_aside.append(set_aside(path.name, line, problem, row))
        else:
            # The unnamed index column that spreadsheets and data frames leave behind is no data.
            values = {key: value for key, value in zip(header, row, strict=True) if key.strip()}
            found.records.append(Record(line, values))


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
