"""Lists of rows as Parquet tables.

Scalar fields become columns of their own type; everything else becomes a column of JSON text, so that any table can be
opened with any Parquet reader and read back without loss.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

if TYPE_CHECKING:
    import pyarrow as pa

Row = TypeVar("Row", bound=BaseModel)


def write_table(path: Path, rows: Sequence[BaseModel], row_type: type[BaseModel]) -> None:
    """Write `rows` as one Parquet file; equal rows give equal bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([pa.field(name, _column_type(field)) for name, field in row_type.model_fields.items()])
    dumped = [row.model_dump(mode="json") for row in rows]
    columns = {
        name: [_cell(row[name], is_json=_scalar(field) is None) for row in dumped]
        for name, field in row_type.model_fields.items()
    }
    pq.write_table(pa.Table.from_pydict(columns, schema=schema), path, compression="zstd")


def read_table(path: Path, row_type: type[Row]) -> list[Row]:
    """The rows that `write_table` wrote."""
    import pyarrow.parquet as pq

    json_columns = {name for name, field in row_type.model_fields.items() if _scalar(field) is None}
    return [
        row_type.model_validate({key: json.loads(cell) if key in json_columns else cell for key, cell in row.items()})
        for row in pq.read_table(path).to_pylist()
    ]


def preview(rows: Sequence[Mapping[str, object]], limit: int = 10) -> str:
    """The first rows as a Markdown table; cells are cut at 120 characters."""
    if not rows:
        return "_no rows_"
    names = list(rows[0])
    lines = [" | ".join(names), " | ".join("---" for _ in names)]
    lines += [" | ".join(markdown_cell(row[name]) for name in names) for row in rows[:limit]]
    return "\n".join(f"| {line} |" for line in lines)


def markdown_cell(value: object, width: int = 120) -> str:
    """A value as one cell of a Markdown table, cut at `width` characters."""
    text = f"{value:.3f}" if isinstance(value, float) else "" if value is None else str(value)
    text = " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return text if len(text) <= width else text[: width - 1] + "…"


def _cell(value: Any, *, is_json: bool) -> Any:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if is_json else value


def _scalar(field: FieldInfo) -> type | None:
    options = [option for option in get_args(field.annotation) or (field.annotation,) if option is not type(None)]
    kinds = {option if isinstance(option, type) else type(option) for option in options}
    kind = kinds.pop() if len(kinds) == 1 else None
    return kind if kind in (str, int, float, bool) else None


def _column_type(field: FieldInfo) -> pa.DataType:
    import pyarrow as pa

    types = {int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    kind = _scalar(field)
    return pa.string() if kind is None else types.get(kind, pa.string())
