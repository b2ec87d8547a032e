"""Reinforcement learning against a judge that fails, asked over HTTP through the request layer."""

import pytest
from training.rlvr_jobs import KEY_VARIABLE, rlvr_job

from distil_dagster.simulator.faults import Faults
from distil_dagster.simulator.options import Options
from distil_dagster.simulator.server import SimulatedTeacher
from distil_dagster.training.curve import FILE_NAME, CurvePoint
from distil_dagster.training.grpo import train
from distil_dagster.training.rows import read_rows


@pytest.fixture
def reinforced(case, student, tuned, rows, tuning, tmp_path, monkeypatch, recorder):
    """Trains against a provider with faults; gives the summary, the trajectory and what the provider counted."""
    monkeypatch.setenv(KEY_VARIABLE, "none")

    def run(name: str, faults: Faults):
        with SimulatedTeacher(case, Options(faults=faults, retry_after=0.05)) as teacher:
            job = rlvr_job(tmp_path / name, student, tuned, rows, tuning, teacher)
            summary = train(job, recorder)
            counts = teacher.stats()["by_outcome"]
        points = read_rows(job.output / FILE_NAME, CurvePoint)
        return summary, [(point.step, point.loss, point.reward, point.held_out) for point in points], counts

    return run


def test_a_fifth_of_the_requests_failing_changes_nothing_as_they_are_asked_again(reinforced):
    clean, trajectory, _ = reinforced("clean", Faults())
    faulted, same, counts = reinforced("faulted", Faults(fail=0.1, refuse=0.1))
    assert counts["failed"] + counts["refused"] > 0
    assert same == trajectory
    assert (faulted.judgements, faulted.failed_judgements) == (clean.judgements, 0)


def test_verdicts_that_never_become_readable_are_counted_and_the_rest_teaches(reinforced):
    summary, trajectory, _ = reinforced("garbled", Faults(garble=0.4))
    assert 0 < summary.failed_judgements < summary.judgements / 2
    assert any(loss for _, loss, _, _ in trajectory)
