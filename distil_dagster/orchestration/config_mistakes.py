"""What Dagster finds wrong with a value, as paths of keys and in words for the person who wrote it."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster._config import ConfigType, ConfigTypeKind, EvaluationError, validate_config
from dagster._config import errors as found
from dagster._config.stack import (
    EvaluationStackListItemEntry,
    EvaluationStackMapKeyEntry,
    EvaluationStackMapValueEntry,
    EvaluationStackPathEntry,
)

from distil_dagster.config.documents import Key
from distil_dagster.config.names import did_you_mean

_MAPS = {ConfigTypeKind.STRICT_SHAPE, ConfigTypeKind.PERMISSIVE_SHAPE, ConfigTypeKind.SELECTOR, ConfigTypeKind.MAP}
_SCALARS = {"String": "text", "Int": "a whole number", "Float": "a number", "Bool": "true or false"}


def mistakes_in(schema: dg.Shape, value: Any) -> Iterator[tuple[Key, str]]:
    """Each mistake in a value: the path of the key that it concerns, and what would be right."""
    for error in validate_config(schema, value).errors or ():
        path = tuple(_path(error))
        match error.error_data:
            case found.FieldNotDefinedErrorData(field_name=name):
                yield (*path, name), _unknown(name, schema, path)
            case found.FieldsNotDefinedErrorData(field_names=names):
                for name in names:
                    yield (*path, name), _unknown(name, schema, path)
            case found.MissingFieldErrorData(field_name=name):
                yield (*path, name), "is required, but missing"
            case found.MissingFieldsErrorData(field_names=names):
                for name in names:
                    yield (*path, name), "is required, but missing"
            case found.SelectorTypeErrorData():
                yield path, f"must have exactly one of the keys {', '.join(_known(schema, path))}"
            case found.RuntimeMismatchErrorData(config_type_snap=wanted, value_rep=value_shown):
                yield path, f"must be {_wanted(wanted.kind, wanted.key)}, not {value_shown}"
            case _:
                yield path, error.message


def _path(error: EvaluationError) -> Iterator[str | int]:
    for entry in error.stack.entries:
        match entry:
            case EvaluationStackPathEntry(field_name=name):
                yield name
            case EvaluationStackListItemEntry(list_index=index):
                yield index
            case EvaluationStackMapKeyEntry(map_key=key) | EvaluationStackMapValueEntry(map_key=key):
                yield str(key)


def _unknown(name: str, schema: dg.Shape, path: Key) -> str:
    return f"is not a known key; {did_you_mean(name, _known(schema, path))}"


def _known(schema: ConfigType, path: Key) -> list[str]:
    """The keys that the map at a path may have."""
    inside: Any = schema
    for step in path:
        while inside.kind == ConfigTypeKind.NONEABLE:
            inside = inside.inner_type
        inside = (
            inside.inner_type
            if inside.kind in (ConfigTypeKind.ARRAY, ConfigTypeKind.MAP)
            else inside.fields[step].config_type
        )
    while inside.kind == ConfigTypeKind.NONEABLE:
        inside = inside.inner_type
    return list(inside.fields)


def _wanted(kind: ConfigTypeKind, key: str) -> str:
    if kind in _MAPS:
        return "a map"
    if kind == ConfigTypeKind.ARRAY:
        return "a list"
    return _SCALARS.get(key, "a plain value")
