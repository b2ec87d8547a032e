"""What a configuration brings into the graph: parts of its settings and the job's files, as external assets.

Each is observed with a version made of its content, and an asset depends on just those that it reads. So Dagster knows
which assets a changed file makes stale, and that the others are not.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG, extract_data_version_from_entry

from distil_dagster.config.catalogue import teachers
from distil_dagster.config.parts import Part, settings_by_part
from distil_dagster.data.examples import content_id
from distil_dagster.data.fingerprints import job_files
from distil_dagster.job import Job
from distil_dagster.orchestration.partitions import configs

GROUP = "inputs"
Input = Part | Literal["data_files"]

_DESCRIPTIONS: Mapping[Input, str] = {
    "task": "What the student learns: the task, the job description, the seed, and which rows are valid.",
    "teacher": "Which model writes the synthetic data and is distilled.",
    "student": "Which small model is trained, and from which weights.",
    "judge": "Which model judges answers.",
    "trace_processing": "How traces become labelled examples.",
    "synthgen": "How synthetic examples are generated and checked.",
    "tuning": "How the student is trained.",
    "evaluation": "How teacher and student are evaluated.",
    "data_files": "The traces and the train, test and unstructured files in the job's folder.",
}
INPUTS: tuple[Input, ...] = (*get_args(Part), "data_files")

specs = [
    dg.AssetSpec(
        dg.AssetKey([GROUP, name]),
        description=_DESCRIPTIONS[name],
        group_name=GROUP,
        kinds={"jsonl" if name == "data_files" else "yaml"},
        partitions_def=configs,
    )
    for name in INPUTS
]


def reads(*inputs: Input) -> list[dg.AssetKey]:
    """The dependencies of an asset that reads these inputs."""
    return [dg.AssetKey([GROUP, name]) for name in inputs]


def input_versions(job: Job) -> dict[Input, str]:
    """A version of each input, made of its content."""
    student = job.config.base.student_model_name
    beside: Mapping[Part, object] = {
        "task": job.description.model_dump(mode="json"),
        "student": job.students.get(student),
        # Of the teacher, the traces depend on no more than whether it sees the images in them.
        "trace_processing": teachers()[job.config.base.teacher_model_name].vision,
    }
    of_settings = settings_by_part(job.config).items()
    versions: dict[Input, str] = {part: content_id(settings, beside.get(part)) for part, settings in of_settings}
    files = {name: state.version for name, state in job_files(job.folder.path).items()}
    return {**versions, "data_files": content_id(files)}


def new_observations(
    instance: dg.DagsterInstance, partition: str, versions: Mapping[Input, str]
) -> list[dg.AssetObservation]:
    """An observation of each input whose version is another one than was last observed."""
    return [
        dg.AssetObservation(dg.AssetKey([GROUP, name]), partition=partition, tags={DATA_VERSION_TAG: version})
        for name, version in versions.items()
        if observed_version(instance, partition, name) != version
    ]


def observe(instance: dg.DagsterInstance, partition: str, versions: Mapping[Input, str]) -> None:
    """Tell Dagster of the inputs that have changed."""
    _report(instance, new_observations(instance, partition, versions))


def observed_version(instance: dg.DagsterInstance, partition: str, name: Input) -> str | None:
    """The version of an input that was last observed; none where it never was."""
    record = instance.get_latest_data_version_record(dg.AssetKey([GROUP, name]), True, partition)
    version = None if record is None else extract_data_version_from_entry(record.event_log_entry)
    return None if version is None else version.value


def _report(instance: dg.DagsterInstance, observations: Iterable[dg.AssetObservation]) -> None:
    for observation in observations:
        instance.report_runless_asset_event(observation)
