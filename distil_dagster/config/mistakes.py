"""What pydantic found wrong with a value, in words for the person who wrote it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from distil_dagster.config.documents import Key
from distil_dagster.config.names import did_you_mean, shown

_PLAIN = {
    "a valid boolean": "true or false",
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid string": "text",
    "a valid list": "a list",
    "a valid dictionary": "a map",
}


@dataclass(frozen=True)
class Mistake:
    """A value that does not fit, where it stands, and what would be right."""

    key: Key
    message: str
    value: object


def mistakes_in(error: ValidationError, known_keys: Collection[str]) -> Iterator[Mistake]:
    """Each mistake that pydantic found; `known_keys` are offered in place of a key that is not known."""
    for details in error.errors(include_url=False):
        # Pydantic marks a wrong key of a map with a last step "[key]".
        key = tuple(step for step in details["loc"] if step != "[key]")
        yield Mistake(key, _wording(details, known_keys), details["input"])


def _wording(details: ErrorDetails, known_keys: Collection[str]) -> str:
    value = details["input"]
    match details["type"]:
        case "value_error":
            return str(details["ctx"]["error"])
        case "missing":
            return "is required, but missing"
        case "extra_forbidden":
            return f"is not a known key; {did_you_mean(str(details['loc'][-1]), known_keys)}"
        case "literal_error":
            choices = re.findall(r"'([^']*)'", details["ctx"]["expected"])
            if value is None:
                return f"is required; choose one of {', '.join(choices)}"
            hint = f"; {did_you_mean(value, choices)}" if isinstance(value, str) else ""
            return f"must be one of {', '.join(choices)}, not {shown(value)}{hint}"
        case _:
            # The part after the comma says how pydantic tried to read the value.
            expected = details["msg"].removeprefix("Input should be ").split(",")[0]
            return f"must be {_PLAIN.get(expected, expected)}, not {shown(value)}"
