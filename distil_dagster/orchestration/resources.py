"""What the assets are told to do: the configuration of their partition, under what a person typed."""

from contextlib import suppress
from dataclasses import replace
from typing import Any, get_args

import dagster as dg
from pydantic import Field, PrivateAttr

from distil_dagster.config.retuning import require_retunable
from distil_dagster.config.sections import Base, Evaluation, Synthgen, Task, TraceProcessing, Tuning
from distil_dagster.job import Job, open_job
from distil_dagster.orchestration.config_files import config_path
from distil_dagster.orchestration.inputs import observe, versions_now
from distil_dagster.orchestration.partitions import PARTITION_TAG
from distil_dagster.orchestration.s3 import fetched_data

CONFIG_KEY = "distil"
RETUNE_TAG = "distil/retune"


class BaseOverrides(Base):
    """General parameters; the task may be left to the configuration file."""

    # Dagster's run config knows no optional choice, so the choices stand in the description and are checked on reading.
    task: str | None = Field(  # type: ignore[assignment]
        default=None, description=f"{', '.join(get_args(Task))}; left empty, what the configuration file says."
    )


class DistilConfig(dg.ConfigurableResource):
    """The five sections. What is typed here goes, key by key, before the partition's file.

    An empty launchpad therefore means "as the file says".
    """

    base: BaseOverrides | None = Field(default=None, description="Which task, which models, and general parameters.")
    tuning: Tuning | None = Field(default=None, description="How the student is trained, by SFT and by RLVR.")
    evaluation: Evaluation | None = Field(default=None, description="How teacher and student are evaluated.")
    synthgen: Synthgen | None = Field(default=None, description="How synthetic examples are generated and checked.")
    trace_processing: TraceProcessing | None = Field(default=None, description="How traces become labelled examples.")

    _typed: dict[str, dict[str, Any]] = PrivateAttr(default_factory=dict)
    _is_retune: bool = PrivateAttr(default=False)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Remember what the person typed: the fields above also hold defaults."""
        run_config: Any = context.run.run_config if context.run else {}
        typed = run_config.get("resources", {}).get(CONFIG_KEY, {}).get("config") or {}
        self._typed = {section: keys for section, keys in typed.items() if keys}
        self._is_retune = context.run is not None and RETUNE_TAG in context.run.tags
        self._observe_inputs(context)

    def job(self, partition: str) -> Job:
        """The job of a partition, under what was typed.

        Raises:
            ConfigError: the configuration has mistakes, or a retune would need other data.
            DataError: the job description is missing or lacks what the task needs.
        """
        if self._is_retune:
            require_retunable(self._typed)
        return replace(open_job(config_path(partition), self._typed, fetched_data), is_retune=self._is_retune)

    def _observe_inputs(self, context: dg.InitResourceContext) -> None:
        """Let what this run makes go by the settings that hold in it, typed ones included.

        Before its first step, as Dagster notes at the start of a step in which versions that step's inputs are.
        """
        partition = context.run.tags.get(PARTITION_TAG) if context.run else None
        if partition is None or context.instance is None:
            return
        # A mistake in the configuration is the asset's to tell.
        with suppress(Exception):
            observe(context.instance, partition, versions_now(config_path(partition), self._typed))
