"""Answers as JSON objects: the schema that is sent, the check that is always made, the message that asks again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

from pydantic import BaseModel, ValidationError

from distil_dagster.prompts import render

_MOST_PROBLEMS_NAMED = 5
_MOST_STARTS_TRIED = 50
_FENCE = re.compile(r"```[\w-]*[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)


@dataclass(frozen=True)
class Valid:
    """A reply that fits its schema."""

    value: BaseModel


@dataclass(frozen=True)
class Invalid:
    """A reply that does not fit, with the problem in words that a model can act on."""

    problem: str


@lru_cache(maxsize=256)
def response_format(schema: type[BaseModel], name: str = "") -> dict[str, Any]:
    """The `response_format` parameter for a pydantic model, in the strict form where the schema allows it.

    Strict mode wants every object closed and every property required; an object with free keys cannot be said so.
    """
    json_schema = schema.model_json_schema()
    strict = True
    for node in _nodes(json_schema):
        strict = _close(node) and strict
    return {
        "type": "json_schema",
        "json_schema": {"name": name or schema.__name__, "schema": json_schema, "strict": strict},
    }


def read_structured(text: str, schema: type[BaseModel]) -> Valid | Invalid:
    """Read a reply against its schema; code fences and prose around the one object are forgiven."""
    found = find_json_object(text)
    if isinstance(found, Invalid):
        return found
    try:
        return Valid(schema.model_validate(found))
    except ValidationError as error:
        return Invalid(_in_words(error))


def find_json_object(text: str) -> dict[str, Any] | Invalid:
    """The one JSON object in a reply."""
    if not text.strip():
        return Invalid("it is empty.")
    candidates = [text.strip(), *(match.strip() for match in _FENCE.findall(text))]
    for candidate in candidates:
        whole = _decode(candidate)
        if isinstance(whole, dict):
            return whole
    found = list(_objects_within(text))
    if not found:
        return Invalid("it holds no valid JSON object.")
    if any(other != found[0] for other in found[1:]):
        return Invalid("it holds more than one JSON object.")
    return found[0]


def repair_messages(text: str, problem: str, structured: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """The two turns that ask for a valid answer: the invalid reply, and what is wrong with it."""
    return (
        {"role": "assistant", "content": text},
        {"role": "user", "content": render("llm/repair", problem=problem, structured=structured)},
    )


def _decode(text: str) -> Any | None:
    try:
        return _decoder().decode(text)
    except (ValueError, RecursionError):
        return None


def _objects_within(text: str) -> Iterator[dict[str, Any]]:
    position, starts = text.find("{"), 0
    while position >= 0 and starts < _MOST_STARTS_TRIED:
        starts += 1
        end = position + 1
        try:
            value, end = _decoder().raw_decode(text, position)
            yield value
        except (ValueError, RecursionError):
            pass
        position = text.find("{", end)


@lru_cache(maxsize=1)
def _decoder() -> json.JSONDecoder:
    # Models write raw line breaks inside strings; strict=False reads them.
    return json.JSONDecoder(strict=False, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _in_words(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False)
    lines = [_one_in_words(problem["loc"], problem["msg"], problem["input"]) for problem in problems]
    rest = len(lines) - _MOST_PROBLEMS_NAMED
    return "; ".join(lines[:_MOST_PROBLEMS_NAMED]) + (f"; and {rest} more problems." if rest > 0 else ".")


def _one_in_words(location: tuple[int | str, ...], message: str, value: Any) -> str:
    place = ".".join(str(part) for part in location)
    message = message[:1].lower() + message[1:]
    if isinstance(value, dict | list):
        return f"{place}: {message}"
    shown = json.dumps(value, ensure_ascii=False, default=str)
    return f"{place}: {message}, not {shown[:80]}"


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Every schema inside a schema, itself included; the names of properties and definitions are no schemas."""
    if not isinstance(node, dict):
        return
    yield node
    for key, value in node.items():
        if key in ("properties", "$defs"):
            children = list(value.values())
        elif key in ("anyOf", "oneOf", "allOf", "prefixItems"):
            children = list(value)
        elif key in ("items", "additionalProperties"):
            children = [value]
        else:
            continue
        for child in children:
            yield from _nodes(child)


def _close(node: dict[str, Any]) -> bool:
    """Make one schema strict in place; False where it cannot be."""
    node.pop("default", None)
    if "oneOf" in node:
        node["anyOf"] = node.pop("oneOf")
        node.pop("discriminator", None)
    if "$ref" in node:
        reference = node["$ref"]
        node.clear()
        node["$ref"] = reference
    if node.get("type") != "object":
        return bool(node.keys() & {"type", "anyOf", "$ref", "enum", "const"})
    if "properties" not in node:
        return not node.get("additionalProperties", True)
    node["additionalProperties"] = False
    node["required"] = list(node["properties"])
    return True
