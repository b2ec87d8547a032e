"""Prompts as files, a folder a phase: `prompts/<phase>/<name>.j2`, rendered by one function."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


def render(name: str, **values: Any) -> str:
    """The text of the prompt `<phase>/<name>`, without surrounding white space.

    Raises:
        jinja2.UndefinedError: the template names a value that was not given.
    """
    return _environment().get_template(f"{name}.j2").render(**values).strip()


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - prompts are plain text; escaping would change what the model reads
    )
    environment.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment
