"""Secrets of a route: a file names the environment variable that holds one, and it is read when a request is sent."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from distil_dagster.errors import ProviderError

_SUFFIXES = ("_key", "_secret", "_token", "_password", "_credentials")
_HEADERS = ("extra_headers", "headers")
_SECRET_HEADERS = re.compile("authorization|cookie|key|secret|token|password|credential", re.IGNORECASE)


def names_secret(name: str) -> bool:
    """Whether a connection setting of this name holds a secret."""
    return f"_{name}".endswith(_SUFFIXES)


def written_secrets(extra: Mapping[str, Any]) -> Iterator[str]:
    """The settings of a route's `extra` that hold a secret itself, where a variable should be named."""
    for name, value in extra.items():
        if isinstance(value, str) and names_secret(name):
            yield name
        if isinstance(value, Mapping) and name in _HEADERS:
            written = [header for header, text in value.items() if isinstance(text, str)]
            yield from (f"{name}.{header}" for header in written if _SECRET_HEADERS.search(header))


def with_secrets(value: Any) -> Any:
    """A connection setting with the value of the variable in the place of each `{env: VARIABLE}`.

    Raises:
        ProviderError: a variable is not set.
    """
    variable = _variable(value)
    if variable is not None:
        return _value_of(variable)
    return {key: with_secrets(inner) for key, inner in value.items()} if isinstance(value, Mapping) else value


def secrets_in(value: Any) -> Iterator[str]:
    """The secrets that a connection setting names, as far as their variables are set."""
    variable = _variable(value)
    if variable is not None:
        yield from filter(None, [os.environ.get(variable)])
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from secrets_in(inner)


def _variable(value: Any) -> str | None:
    match value:
        case {"env": str(name), **rest} if not rest:
            return name
    return None


def _value_of(variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise ProviderError(f"the environment variable {variable}, which a route's `extra` names, is not set")
    return value
