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
from distil_dagster.errors import DistilError
from distil_dagster.orchestration.config_files import config_folder
from distil_dagster.orchestration.following import is_running, unambiguous
from distil_dagster.orchestration.inputs import data_files, files_version, version_read

CHECK_JOB = "check_traces"
DISTIL_JOB = "distil"
DRIFT_ASSET = "trace_drift"
CAUSE_TAG = "distil/cause"
NEW_TRACES = "new_traces"
WORTH_KEY = "worth_a_distillation"
INTERVAL_VARIABLE = "DISTIL_LOOK_EVERY"
_LOOK_EVERY = int(os.environ.get(INTERVAL_VARIABLE, "30"))
"""Seconds between two looks; each costs a listing of every bucket's prefix."""
_NIGHTLY = "0 3 * * *"


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
    before = _LOOKS.validate_json(context.cursor or "{}")
    now = _versions(context.log)
    looks = {
        name: Look(latest=seen, first=before[name].first if name in before else seen) for name, seen in now.items()
    }
    requests = [
        _request(name, look.latest)
        for name, look in looks.items()
        if name in before
        and before[name].latest == look.latest
        and _is_new(context.instance, name, look.latest, look.first)
    ]
    return dg.SensorResult(
        run_requests=requests,
        cursor=_LOOKS.dump_json(looks).decode(),
        skip_reason=None if requests else f"nothing new for {len(looks)} configurations",
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
    yield from (_request(name, versions[name]) for name in new)
    if not new:
        yield dg.SkipReason(f"nothing new for {len(versions)} configurations")


@dg.asset_sensor(
    asset_key=dg.AssetKey(DRIFT_ASSET),
    name="redistillation",
    job_name=DISTIL_JOB,
    minimum_interval_seconds=_LOOK_EVERY // 3,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Distils anew where a check that the sensor or the schedule of new traces requested found it worth its "
    "price. A check that a person started has no such consequence.",
)
def redistillation(
    context: dg.SensorEvaluationContext, event: dg.EventLogEntry
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Request the distillation that a check asks for."""
    materialization, run = event.asset_materialization, context.instance.get_run_by_id(event.run_id)
    if materialization is None or run is None or run.tags.get(CAUSE_TAG) != NEW_TRACES:
        yield dg.SkipReason(f"run {event.run_id} was not requested for new traces")
    elif not materialization.metadata[WORTH_KEY].value:
        yield dg.SkipReason(f"{materialization.partition}: not worth a distillation")
    else:
        yield dg.RunRequest(run_key=event.run_id, partition_key=materialization.partition, tags={CAUSE_TAG: NEW_TRACES})


def _versions(log: Logger) -> dict[str, str]:
    """The version of the data files of each configuration that new traces may start a distillation of."""
    found = {}
    for name, path in unambiguous(config_folder()).items():
        try:
            config = load_config(path)
            if config.config.data.redistil_on != "never":
                found[name] = files_version(data_files(config))
        except DistilError as error:
            log.warning(f"{name}: {error}")
    return found


def _is_new(instance: dg.DagsterInstance, name: str, version: str, first: str) -> bool:
    """Whether files of this version were neither distilled nor checked, and no run is about to."""
    read = {version_read(instance, asset, name, "data_files") for asset in ("traces", DRIFT_ASSET)} - {None}
    changed = version not in read if read else version != first
    return changed and version != files_version({}) and not is_running(instance, name)


def _request(name: str, version: str) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"{name}:{version}", partition_key=name, tags={CAUSE_TAG: NEW_TRACES, "distil/data_files": version}
    )
