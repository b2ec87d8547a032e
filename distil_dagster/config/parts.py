"""The settings in parts: what changes together is read together, by some phases and by no others.

Mostly a part is a section. Where single keys of a section are read by other phases than the rest of it, they are parts
of their own, so that a changed student does not put the data in question.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from distil_dagster.config.pipeline import PipelineConfig, effective

Part = Literal["task", "teacher", "student", "judge", "trace_processing", "synthgen", "tuning", "evaluation"]
PARTS: tuple[Part, ...] = get_args(Part)

_ELSEWHERE: Mapping[tuple[str, str], Part | None] = {
    ("base", "task"): "task",
    ("base", "random_seed"): "task",
    ("base", "teacher_model_name"): "teacher",
    ("base", "student_model_name"): "student",
    # How fast answers come changes none of them.
    ("base", "llm_num_parallel_requests"): None,
    # Which rows are valid at all, wherever they come from.
    ("synthgen", "output_is_json"): "task",
    ("synthgen", "validation_max_total_length"): "task",
    # Asked by reinforcement learning too.
    ("evaluation", "llm_as_a_judge_model_name"): "judge",
}
_OF_SECTION: Mapping[str, Part] = {
    "tuning": "tuning",
    "evaluation": "evaluation",
    "synthgen": "synthgen",
    "trace_processing": "trace_processing",
}


def part_of(section: str, key: str) -> Part | None:
    """The part that a setting belongs to; none where it changes no artefact."""
    return _ELSEWHERE[section, key] if (section, key) in _ELSEWHERE else _OF_SECTION[section]


def settings_by_part(config: PipelineConfig) -> dict[Part, dict[str, Any]]:
    """Every setting that shapes an artefact, as `section.key` and plain JSON value, by part."""
    found: dict[Part, dict[str, Any]] = {part: {} for part in PARTS}
    for section, settings in effective(config).items():
        if section == "data":
            continue
        for key, value in settings.items():
            part = part_of(section, key)
            if part is not None:
                found[part][f"{section}.{key}"] = value
    return found
