"""What a configuration brings into the graph: parts of its settings and the job's files, as external assets.

Each is observed with a version made of its content, and an asset depends on just those that it reads. So Dagster knows
which assets a changed file makes stale, and that the others are not.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import dagster as dg
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    extract_data_provenance_from_entry,
    extract_data_version_from_entry,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)

from distil_dagster.config.catalogue import route_of, teachers
from distil_dagster.config.loading import LoadedConfig, load_config
from distil_dagster.config.parts import Part, settings_by_part
from distil_dagster.config.pipeline import PipelineConfig
from distil_dagster.data.examples import content_id
from distil_dagster.data.fingerprints import FileState, job_files
from distil_dagster.job import Job, job_of
from distil_dagster.llm.requests import is_connection_setting
from distil_dagster.orchestration.partitions import configs
from distil_dagster.orchestration.s3 import fetched_description, s3_client

if TYPE_CHECKING:
    from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph

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


def input_key(name: Input) -> dg.AssetKey:
    """The asset that an input is."""
    return dg.AssetKey([GROUP, name])


specs = [
    dg.AssetSpec(
        input_key(name),
        description=_DESCRIPTIONS[name],
        group_name=GROUP,
        kinds={"jsonl" if name == "data_files" else "yaml"},
        partitions_def=configs,
    )
    for name in INPUTS
]


def input_versions(job: Job, data_files: Mapping[str, FileState]) -> dict[Input, str]:
    """A version of each input, made of its content."""
    config = job.config
    base, cleaning = config.base, config.trace_processing
    beside: Mapping[Part, object] = {
        "task": job.description.model_dump(mode="json"),
        "teacher": _models(config, base.teacher_model_name),
        "student": config.data.students.get(base.student_model_name),
        "judge": _models(config, config.evaluation.llm_as_a_judge_model_name),
        "trace_processing": [
            _models(config, cleaning.teacher_model_name, *cleaning.relabelling_committee_models),
            # Of the teacher, the traces depend on no more than whether it sees the images in them.
            teachers()[base.teacher_model_name].vision,
        ],
    }
    of_settings = settings_by_part(config).items()
    versions: dict[Input, str] = {part: content_id(settings, beside.get(part)) for part, settings in of_settings}
    return {**versions, "data_files": files_version(data_files)}


def _models(config: PipelineConfig, *names: str) -> list[object]:
    """Which models answer behind catalogue names: another route to one is another model, another address is not."""
    routes = [route_of(name, config) for name in names]
    return [
        [route.model, {key: value for key, value in route.extra.items() if not is_connection_setting(key)}]
        for route in routes
    ]


def data_files(config: LoadedConfig) -> dict[str, FileState]:
    """The data files of a configuration's job as they are now, in its folder or under its prefix.

    Raises:
        StorageError: the bucket cannot be used.
    """
    if config.data_prefix is not None:
        return job_files(config.data_prefix, s3_client())
    return job_files(config.data_folder)


def files_version(files: Mapping[str, FileState]) -> str:
    """One version for all data files of a job."""
    return content_id({name: state.version for name, state in files.items()})


def versions_now(path: Path, typed: Mapping[str, Mapping[str, Any]] | None = None) -> dict[Input, str]:
    """The versions of a configuration's inputs, under what was typed.

    Raises:
        DistilError: the configuration or its job cannot be read.
    """
    loaded = load_config(path, typed)
    return input_versions(job_of(loaded, fetched_description), data_files(loaded))


def new_observations(
    instance: dg.DagsterInstance, partition: str, versions: Mapping[Input, str]
) -> list[dg.AssetObservation]:
    """An observation of each input whose version is another one than was last observed."""
    return [
        dg.AssetObservation(input_key(name), partition=partition, tags={DATA_VERSION_TAG: version})
        for name, version in versions.items()
        if observed_version(instance, partition, name) != version
    ]


def observe(instance: dg.DagsterInstance, partition: str, versions: Mapping[Input, str]) -> None:
    """Tell Dagster of the inputs that have changed."""
    _report(instance, new_observations(instance, partition, versions))


def version_read(instance: dg.DagsterInstance, asset: str, partition: str, name: Input) -> str | None:
    """The version of an input that the latest materialization of an asset read; none where there is none."""
    record = instance.get_latest_data_version_record(dg.AssetKey(asset), False, partition)
    provenance = None if record is None else extract_data_provenance_from_entry(record.event_log_entry)
    # An event that no run wrote, such as that of data taken over, has no provenance; one of an older version no input.
    seen = None if provenance is None else provenance.input_storage_ids.get(input_key(name))
    if seen is None:
        return None
    return _version(instance.get_latest_data_version_record(input_key(name), True, partition, before_cursor=seen + 1))


def provenance_taken_over(
    instance: dg.DagsterInstance, graph: "BaseAssetGraph[Any]", key: dg.AssetKey, source: str, partition: str
) -> dict[str, str]:
    """What the event of an artefact that was taken over from another partition says of its versions.

    With the inputs as they were last observed for the new partition: from there on, what changes makes it stale.
    """
    version = _version(instance.get_latest_data_version_record(key, False, source))
    tags = {CODE_VERSION_TAG: graph.get(key).code_version or "", DATA_VERSION_IS_USER_PROVIDED_TAG: "true"}
    tags |= {} if version is None else {DATA_VERSION_TAG: version}
    for parent in graph.get(key).parent_keys:
        record = instance.get_latest_data_version_record(parent, graph.get(parent).is_external, partition)
        if record is not None:
            tags[get_input_data_version_tag(parent)] = _version(record) or ""
            tags[get_input_event_pointer_tag(parent)] = str(record.storage_id)
    return tags


def observed_version(instance: dg.DagsterInstance, partition: str, name: Input) -> str | None:
    """The version of an input that was last observed; none where it never was."""
    return _version(instance.get_latest_data_version_record(input_key(name), True, partition))


def _report(instance: dg.DagsterInstance, observations: Iterable[dg.AssetObservation]) -> None:
    for observation in observations:
        instance.report_runless_asset_event(observation)


def _version(record: dg.EventLogRecord | None) -> str | None:
    version = None if record is None else extract_data_version_from_entry(record.event_log_entry)
    return None if version is None else version.value
