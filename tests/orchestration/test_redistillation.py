"""From traces that are dropped into a folder or a bucket to a finished distillation, by Dagster's own daemon."""

import shutil

import dagster as dg
import pytest
import yaml
from daemons import Daemon, daemon
from projects import opened_project
from s3 import Bucket, bucket_served

from distil_dagster.evaluation.artefacts import EvalReport
from distil_dagster.evaluation.served_students import POINTER
from distil_dagster.orchestration.partitions import configs

PARTITIONS = ("letters", "from_bucket")
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def places(tmp_path_factory, case, small_config):
    """Two configurations without traces yet: one whose job is a folder, one whose job is in a bucket."""
    root = tmp_path_factory.mktemp("redistillation")
    folder = root / "job"
    folder.mkdir()
    shutil.copy(case / "job_description.json", folder)
    with bucket_served() as bucket:
        bucket.put("jobs/letters/job_description.json", (case / "job_description.json").read_bytes())
        in_folder = small_config | {"data": small_config["data"] | {"path": str(folder)}}
        in_bucket = small_config | {"data": small_config["data"] | {"path": f"{bucket.url}/jobs/letters"}}
        with opened_project(root, case, in_folder) as project:
            (root / "configs" / "from_bucket.yaml").write_text(yaml.safe_dump(in_bucket))
            yield project, folder, bucket


@pytest.fixture(scope="module")
def watched(places, tmp_path_factory):
    """The daemon, its sensor of new traces switched on and past its first look."""
    with daemon(tmp_path_factory.mktemp("home") / "dagster", {"DISTIL_LOOK_EVERY": "6"}) as running:
        running.wait_for(
            lambda: set(running.instance.get_dynamic_partitions(configs.name)) == set(PARTITIONS), 120, "partitions"
        )
        running.dagster("sensor", "start", "new_traces")
        running.wait_for(lambda: ticks(running), 90, "the first look")
        yield running


def ticks(running: Daemon) -> int:
    (state,) = [found for found in running.instance.all_instigator_state() if found.instigator_name == "new_traces"]
    done = running.instance.get_ticks(state.instigator_origin_id, state.selector_id)
    return sum(tick.status is not dg._core.scheduler.instigation.TickStatus.STARTED for tick in done)


def drop(case, folder, bucket: Bucket) -> None:
    shutil.copy(case / "traces.jsonl", folder)
    bucket.put("jobs/letters/traces.jsonl", (case / "traces.jsonl").read_bytes())


def test_dropped_traces_end_in_a_student_and_a_rank_and_nothing_runs_twice(places, watched, case):
    project, folder, bucket = places
    drop(case, folder, bucket)
    for partition in PARTITIONS:
        watched.wait_for(lambda name=partition: watched.runs("distil", name), 180, f"a distillation of {partition}")
    for partition in PARTITIONS:
        watched.wait_for(
            lambda name=partition: watched.runs("distil", name)[0].is_finished, 600, f"its end: {partition}"
        )
    for partition in PARTITIONS:
        (check,), (run,) = watched.runs("check_traces", partition), watched.runs("distil", partition)
        assert (check.status, run.status) == (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.SUCCESS)
        assert check.tags["distil/cause"] == run.tags["distil/cause"] == "new_traces"
        assert project.store.load("eval_report", partition, EvalReport).rows
        assert project.store.exists(POINTER, partition)
    # Two runs at once that ask the same: each answer is bought by one of them.
    assert project.teacher.stats()["bodies"]["answered_more_than_once"] == 0
    watched.wait_for(lambda: ranked(watched) == 2, 120, "the leaderboard")
    assert "Traceback" not in watched.log.read_text()


def ranked(running: Daemon) -> int:
    event = running.instance.get_latest_materialization_event(dg.AssetKey("leaderboard"))
    return 0 if event is None else event.asset_materialization.metadata["configurations"].value
