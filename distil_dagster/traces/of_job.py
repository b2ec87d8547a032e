"""The traces of a job, as its configuration has them read."""

from __future__ import annotations

from distil_dagster.config.catalogue import teachers
from distil_dagster.job import Job
from distil_dagster.traces.ingest import Traces, empty_traces, ingest_traces


def traces_of(job: Job) -> Traces:
    """The lines of the job's trace file, each in one part or set aside; none, with the reason, where it has no file."""
    path, test = job.folder.traces, job.folder.test()
    if path is None:
        return empty_traces("the job's folder has no traces.jsonl: its own train and test files are used")
    return ingest_traces(
        path,
        job.task,
        job.config.trace_processing,
        max_total_length=job.max_total_length,
        seed=job.config.base.random_seed,
        held_out=None if test is None else test.examples,
        teacher_sees_images=teachers()[job.config.base.teacher_model_name].vision,
    )
