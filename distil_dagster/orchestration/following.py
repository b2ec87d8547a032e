"""The sensor that follows the folder of configurations, so that Dagster knows what is there and what has changed."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from distil_dagster.errors import in_words
from distil_dagster.orchestration.config_files import config_folder, config_paths, found_files
from distil_dagster.orchestration.inputs import new_observations, versions_now
from distil_dagster.orchestration.partitions import PARTITION_TAG, add_partitions, configs

_LOOK_EVERY = 15


@dg.sensor(
    minimum_interval_seconds=_LOOK_EVERY,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Makes a partition of each new file in the folder of configurations, and notes which settings and data "
    "files have changed, so that what they make stale shows as such. It starts no runs.",
)
def configurations(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Add what is new and observe what has changed.

    A file that is gone keeps its partition, and with it its history.

    Raises:
        DistilError: two files would be one partition. What else is new is taken first.
    """
    paths = unambiguous(config_folder())
    known = set(context.instance.get_dynamic_partitions(configs.name or ""))
    new = sorted(paths.keys() - known)
    # Events name partitions, so those have to be there first.
    add_partitions(context.instance, new)
    observations = [seen for name, path in paths.items() for seen in _observations(context, name, path)]
    if not new and not observations:
        config_paths(config_folder())
    return dg.SensorResult(
        asset_events=observations,
        skip_reason=f"new: {', '.join(new) or 'none'}; changed inputs: {len(observations)}",
    )


def unambiguous(folder: Path) -> dict[str, Path]:
    """The configurations of a folder that have one file each."""
    return {name: paths[0] for name, paths in found_files(folder).items() if len(paths) == 1}


def is_running(instance: dg.DagsterInstance, partition: str) -> bool:
    """Whether a run of this configuration waits or goes on."""
    wanted = dg.RunsFilter(tags={PARTITION_TAG: partition}, statuses=list(NOT_FINISHED_STATUSES))
    return bool(instance.get_run_ids(wanted, limit=1))


def _observations(context: dg.SensorEvaluationContext, name: str, path: Path) -> Iterator[dg.AssetObservation]:
    # A run goes by its own settings, typed ones included, until it ends.
    if is_running(context.instance, name):
        return
    try:
        versions = versions_now(path)
    except Exception as error:
        # Whatever it is, the other configurations go on.
        context.log.warning(f"{name}: {in_words(error)}")
        return
    yield from new_observations(context.instance, name, versions)
