"""The job description: what the small model is to do, in the user's own words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from distil_dagster.config.loading import JOB_DESCRIPTION
from distil_dagster.errors import DataError

_OLD_NAMES = {"context_description": "input_description"}


class JobDescription(BaseModel):
    """What `job_description.json` says; unknown keys are kept out, as real files carry many."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    task_description: str = Field(min_length=1)
    input_description: str | None = None
    classes_description: dict[str, str] = Field(default_factory=dict)
    tools: tuple[dict[str, Any], ...] = ()
    llm_as_a_judge_instructions: str | None = None
    synthetic_data_generation_instructions: str | None = None
    trace_processing_instructions: str | None = None


def read_job_description(folder: Path) -> JobDescription:
    """Read `job_description.json` of a job's folder.

    Raises:
        DataError: the file is missing, is not JSON, or lacks `task_description`.
    """
    path = folder / JOB_DESCRIPTION
    try:
        raw = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise DataError(f"{path}: missing; a job needs a {JOB_DESCRIPTION} with at least task_description") from None
    except ValueError as error:
        raise DataError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(raw, dict):
        raise DataError(f"{path}: must hold one JSON object, not {type(raw).__name__}")
    renamed = {_OLD_NAMES.get(key, key): value for key, value in raw.items() if value is not None}
    try:
        return JobDescription.model_validate(renamed)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{path}: {key}: {first['msg']}") from None
