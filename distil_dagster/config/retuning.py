"""Training again from data as they are: which settings that may change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distil_dagster.errors import ConfigError, Problem

STUDENT = "student_model_name"
_MESSAGE = "shapes the data or how they are measured, which a retune leaves as they are; use run for it"


def require_retunable(typed: Mapping[str, Mapping[str, Any]]) -> None:
    """Check that `typed` settings, key by key, are the student's name or those of `tuning`.

    Raises:
        ConfigError: carries every setting that would need other data.
    """
    problems = [
        Problem("run config", None, f"{section}.{key}", _MESSAGE, value)
        for section, keys in typed.items()
        for key, value in keys.items()
        if section != "tuning" and (section, key) != ("base", STUDENT)
    ]
    if problems:
        raise ConfigError(problems)
