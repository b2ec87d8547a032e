"""A whole configuration: the five sections, and `data`, which says where things come from."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from distil_dagster.config.catalogue import Route, RoutesByName, known_student
from distil_dagster.config.sections import Base, Evaluation, Synthgen, TraceProcessing, Tuning

__all__ = ["DataSettings", "PipelineConfig", "Route", "effective", "non_default"]


class DataSettings(BaseModel):
    """Where data, weights and teachers are, what a run may cost, and when new traces start one."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    path: str | None = Field(
        default=None,
        min_length=1,
        description="The job's folder, relative to the configuration file, or an s3:// prefix.",
    )
    models: RoutesByName = Field(
        default_factory=dict, description="Where a teacher is asked, by catalogue name; `*` for all that are not named."
    )
    students: dict[Annotated[str, AfterValidator(known_student)], str] = Field(
        default_factory=dict, description="Where a student's weights are: a folder or a Hub id, by catalogue name."
    )
    budget_usd: float | None = Field(
        default=None, ge=0, description="Most that all answers in the journal may have cost, in US dollars."
    )
    redistil_on: Literal["drift", "new_traces", "never"] = Field(
        default="drift",
        description="What starts a new distillation: new traces unlike the old ones, any new traces, or nothing.",
    )
    drift_alpha: float = Field(
        default=0.01,
        ge=0.001,
        lt=1,
        description="How often, at most, new traces that are as the old ones may be taken for drift.",
    )
    min_new_traces: int = Field(default=30, ge=1, description="Fewer new traces than this start nothing yet.")


class PipelineConfig(BaseModel):
    """A whole configuration. What its sections demand of each other is found by `rules.errors_in`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: Base
    tuning: Tuning = Tuning()
    evaluation: Evaluation = Evaluation()
    synthgen: Synthgen = Synthgen()
    trace_processing: TraceProcessing = TraceProcessing()
    data: DataSettings = DataSettings()


def effective(config: PipelineConfig) -> dict[str, dict[str, Any]]:
    """Every setting that holds, by section and key, as plain JSON values."""
    return config.model_dump(mode="json")


def non_default(config: PipelineConfig) -> dict[str, dict[str, Any]]:
    """The settings that differ from their defaults, by section and key, as plain JSON values."""
    differing = config.model_dump(mode="json", exclude_defaults=True)
    return {section: settings for section, settings in differing.items() if settings}
