"""When new traces come: the check whether they are worth a new student, and the distillation that follows.

A sensor looks at the jobs' data files every half minute, or as often as DISTIL_LOOK_EVERY says, and a schedule once a
night. Both request the job `check_traces` for each configuration whose files are others than those that were last
distilled or checked. What that check finds worth its price, the sensor `redistillation` distils.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from logging import Logger

import dagster as dg
from pydantic import TypeAdapter

from distil_dagster.config.loading import load_config
from distil_dagster.data.messages import Frozen
from distil_dagster.errors import ConfigError, Problem, in_words
from distil_dagster.orchestration.config_files import config_folder, found_files
from distil_dagster.orchestration.following import is_running, unambiguous
from distil_dagster.orchestration.inputs import data_files, files_version, version_read
from distil_dagster.orchestration.lineage import is_distilled, position
from distil_dagster.orchestration.partitions import add_partitions

CHECK_JOB = "check_traces"
DISTIL_JOB = "distil"
DRIFT_ASSET = "trace_drift"
LAST_ASSET = "in_service"
CAUSE_TAG = "distil/cause"
NEW_TRACES = "new_traces"
WORTH_KEY = "worth_a_distillation"
INTERVAL_VARIABLE = "DISTIL_LOOK_EVERY"
_NIGHTLY = "0 3 * * *"
_CHECKS_A_LOOK = 100


def seconds_between_looks() -> int:
    """Each look costs a listing of every bucket's prefix.

    Raises:
        ConfigError: the variable holds no such number.
    """
    wanted = os.environ.get(INTERVAL_VARIABLE) or "30"
    if not wanted.isdecimal() or int(wanted) < 1:
        raise ConfigError([Problem("environment", None, INTERVAL_VARIABLE, "must be whole seconds from 1", wanted)])
    return int(wanted)


_LOOK_EVERY = seconds_between_looks()


class Look(Frozen):
    """The version of a job's data files at the latest look and at the first one."""

    latest: str
    first: str


_LOOKS: TypeAdapter[dict[str, Look]] = TypeAdapter(dict[str, Look])


@dg.sensor(
    name=NEW_TRACES,
    job_name=CHECK_JOB,
    minimum_interval_seconds=_LOOK_EVERY,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Requests a check of traces for each configuration whose data files are new or have grown, once they "
    "stay the same from one look to the next. Switched on, it can start distillations, which cost money.",
)
def new_traces_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Request a check of what has changed and is whole.

    Where nothing was distilled yet, what was there at the first look is not new.
    """
    there = found_files(config_folder())
    # A file that is gone and comes again is looked at for the first time.
    before = {name: look for name, look in _LOOKS.validate_json(context.cursor or "{}").items() if name in there}
    now = _versions(context.log)
    # What cannot be read for once is remembered as it was seen before.
    looks = before | {
        name: Look(latest=version, first=before[name].first if name in before else version)
        for name, version in now.items()
    }
    unchanged = [name for name, version in now.items() if name in before and before[name].latest == version]
    new = [name for name in unchanged if _is_new(context.instance, name, now[name], looks[name].first)]
    # A partition that was deleted would fail the requests of all.
    add_partitions(context.instance, new)
    return dg.SensorResult(
        run_requests=[_request(name, now[name]) for name in new],
        cursor=_LOOKS.dump_json(looks).decode(),
        skip_reason=None if new else f"nothing new for {len(now)} configurations",
    )


@dg.schedule(
    name="nightly_new_traces",
    job_name=CHECK_JOB,
    cron_schedule=_NIGHTLY,
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="The same once a night, in the place of the sensor: for logs that are copied at a known hour.",
)
def new_traces_schedule(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Request a check of what is other than what was last distilled or checked."""
    versions = _versions(context.log)
    new = [name for name, version in versions.items() if _is_new(context.instance, name, version, first=version)]
    add_partitions(context.instance, new)
    yield from (_request(name, versions[name]) for name in new)
    if not new:
        yield dg.SkipReason(f"nothing new for {len(versions)} configurations")


@dg.sensor(
    name="redistillation",
    job_name=DISTIL_JOB,
    minimum_interval_seconds=max(1, _LOOK_EVERY // 3),
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Distils anew where a check that the sensor or the schedule of new traces requested found it worth its "
    "price. A check that a person started has no such consequence.",
)
def redistillation(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Request the distillations that the checks since the last look ask for.

    Dagster's own sensor of an asset sees the latest event only, and so would miss one of two checks.
    """
    after = int(context.cursor) if context.cursor else None
    wanted = dg.AssetRecordsFilter(dg.AssetKey(DRIFT_ASSET), after_storage_id=after)
    records = context.instance.fetch_materializations(wanted, limit=_CHECKS_A_LOOK, ascending=True).records
    asked = [request for record in records if (request := _consequence(context, record)) is not None]
    add_partitions(context.instance, [request.partition_key for request in asked if request.partition_key])
    return dg.SensorResult(
        run_requests=asked,
        cursor=str(records[-1].storage_id) if records else context.cursor,
        skip_reason=None if asked else f"none of {len(records)} checks asks for a distillation",
    )


def _consequence(context: dg.SensorEvaluationContext, record: dg.EventLogRecord) -> dg.RunRequest | None:
    event, run = record.asset_materialization, context.instance.get_run_by_id(record.run_id)
    if event is None or run is None or run.tags.get(CAUSE_TAG) != NEW_TRACES or not event.metadata[WORTH_KEY].value:
        return None
    return dg.RunRequest(run_key=record.run_id, partition_key=event.partition, tags={CAUSE_TAG: NEW_TRACES})


def _versions(log: Logger) -> dict[str, str]:
    """The version of the data files of each configuration that new traces may start a distillation of."""
    found = {}
    for name, path in unambiguous(config_folder()).items():
        try:
            config = load_config(path)
            if config.config.data.redistil_on != "never":
                found[name] = files_version(data_files(config))
        except Exception as error:
            # Whatever it is, the other configurations go on.
            log.warning(f"{name}: {in_words(error)}")
    return found


def _is_new(instance: dg.DagsterInstance, name: str, version: str, first: str) -> bool:
    """Whether files of this version were neither distilled nor checked, and no run is about to.

    A distillation that failed on its way distilled nothing, though it has read the traces.
    """
    ended = position(instance, LAST_ASSET, name)
    is_done = position(instance, "traces", name) < ended and is_distilled(instance, name)
    assets = [DRIFT_ASSET, *(["traces"] if is_done else [])]
    read = {version_read(instance, asset, name, "data_files") for asset in assets} - {None}
    changed = version not in read if read or ended else version != first
    return changed and version != files_version({}) and not is_running(instance, name)


def _request(name: str, version: str) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"{name}:{version}", partition_key=name, tags={CAUSE_TAG: NEW_TRACES, "distil/data_files": version}
    )
