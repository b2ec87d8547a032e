"""The rows that the training program reads and writes, as JSON lines."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from distil_dagster.data.messages import Frozen
from distil_dagster.data.store import write_text
from distil_dagster.errors import TrainingError

Row = TypeVar("Row", bound=BaseModel)


class ChatRow(Frozen):
    """A conversation in OpenAI form and the assistant's message that answers it; none where it is yet to be asked."""

    id: str
    prompt: tuple[dict[str, Any], ...] = Field(min_length=1)
    completion: tuple[dict[str, Any], ...] = Field(default=(), max_length=1)
    tools: tuple[dict[str, Any], ...] | None = None


class RewardRow(ChatRow):
    """A conversation with what the judge of an answer to it needs to know."""

    question: str
    reference: str
    context: str | None = None


class Written(Frozen):
    """What a model wrote for a row; `length` says that it was cut at the most tokens that it was allowed."""

    id: str
    text: str
    finish_reason: Literal["stop", "length"]


def read_rows(path: Path, kind: type[Row]) -> list[Row]:
    """Read every row of a JSONL file.

    Raises:
        TrainingError: the file is missing, or a line is not such a row.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        raise TrainingError(f"{path}: missing") from None
    return [_parse(path, number, line, kind) for number, line in enumerate(lines, start=1) if line.strip()]


def write_rows(path: Path, rows: Iterable[BaseModel]) -> None:
    """Write rows as JSONL; a reader sees all of them or none."""
    write_text(path, "".join(row.model_dump_json() + "\n" for row in rows))


def _parse(path: Path, number: int, line: str, kind: type[Row]) -> Row:
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "line"
        raise TrainingError(f"{path}:{number}: {key}: {first['msg']}") from None
