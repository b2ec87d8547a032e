"""Writes the tables of configuration.md anew from the configuration classes: python docs/make_configuration.py."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from distil_dagster.config.catalogue import Route, students, teachers
from distil_dagster.config.pipeline import DataSettings, PipelineConfig

PAGE = Path(__file__).with_name("configuration.md")

_KINDS = {"boolean": "true or false", "integer": "whole number", "number": "number", "string": "text"}
_BOUNDS = {"minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}"}


def section_tables() -> str:
    """The five sections of a run, each with its keys."""
    parts = []
    for name, field in PipelineConfig.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, BaseModel) and model is not DataSettings:
            purpose = (model.__doc__ or "").partition("\n")[0]
            parts.append(f"### `{name}`\n\n{purpose}\n\n{key_table(model)}")
    return "\n\n".join(parts)


def key_table(model: type[BaseModel]) -> str:
    """The keys of one class: type and bounds, default, meaning."""
    properties = model.model_json_schema()["properties"]
    rows = []
    for key, field in model.model_fields.items():
        default = "required" if field.is_required() else f"`{_as_yaml(field.get_default(call_default_factory=True))}`"
        rows.append((f"`{key}`", _kind(properties[key]), default, field.description or ""))
    return _table(("Key", "Value", "Default", "What it does"), rows)


def route_table() -> str:
    """The keys of a route; their meaning stands in the text around the table."""
    properties = Route.model_json_schema()["properties"]
    rows = [
        (f"`{key}`", _kind(properties[key]), "required" if field.is_required() else "none")
        for key, field in Route.model_fields.items()
    ]
    return _table(("Key", "Value", "Default"), rows)


def student_table() -> str:
    """The students that a configuration may name."""
    rows = [
        (f"`{name}`", f"`{student.hub_id}`", f"{student.parameters:,} M", student.licence)
        for name, student in students().items()
    ]
    return _table(("Student", "Hugging Face Hub", "Parameters", "Licence"), rows)


def teacher_table() -> str:
    """The teachers that a configuration may name."""
    rows = [
        (f"`{name}`", f"`{teacher.route.model}`", *map(_tick, (teacher.reasoning, teacher.tool_tested, teacher.vision)))
        for name, teacher in teachers().items()
    ]
    return _table(("Teacher", "Default route", "Reasoning", "Tested for tools", "Sees images"), rows)


TABLES: Mapping[str, Callable[[], str]] = {
    "sections": section_tables,
    "data": lambda: key_table(DataSettings),
    "route": route_table,
    "students": student_table,
    "teachers": teacher_table,
}


def renewed(text: str) -> str:
    """The page with everything between its markers written anew."""
    for name, table in TABLES.items():
        between = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        fresh = table()
        text, found = between.subn(lambda match, fresh=fresh: f"{match[1]}{fresh}\n{match[2]}", text)
        if found != 1:
            raise ValueError(f"{PAGE.name} needs the markers of table {name} once, and has them {found} times")
    return text


def _kind(schema: Mapping[str, Any]) -> str:
    """A JSON schema in words."""
    if "anyOf" in schema:
        return " or ".join(_kind(option) for option in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{choice}`" for choice in schema["enum"])
    kind = schema.get("type")
    if kind == "null":
        return "`null`"
    if kind == "array":
        inner = schema.get("items", {})
        return f"list of {_kind(inner)}" if inner else "list"
    if kind == "object":
        return "map"
    bounds = [wording.format(f"{schema[name]:.10g}") for name, wording in _BOUNDS.items() if name in schema]
    return ", ".join([_KINDS[str(kind)], *bounds])


def _as_yaml(value: object) -> str:
    return json.dumps(value, ensure_ascii=False).strip('"') if value is not None else "null"


def _tick(holds: bool) -> str:
    return "yes" if holds else ""


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


if __name__ == "__main__":
    before = PAGE.read_text(encoding="utf-8")
    after = renewed(before)
    PAGE.write_text(after, encoding="utf-8")
    print(f"{PAGE.name}: {'up to date' if after == before else 'written anew'}")
