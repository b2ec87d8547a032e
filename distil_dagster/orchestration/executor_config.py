"""The settings of the device executor: their schema, and their defaults for all runs from a file.

The environment variable DISTIL_EXECUTOR names a YAML or JSON file that holds what a run may have under
`execution: config:`. Its values are the defaults of the schema, so that the launchpad shows them, and what is typed
there goes before them, key by key.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import dagster as dg
from dagster._config import process_config
from dagster._core.execution.retries import get_retries_config
from dagster._core.execution.tags import get_tag_concurrency_limits_config

from distil_dagster.config.documents import Key, dotted, read_document
from distil_dagster.errors import ConfigError, Problem
from distil_dagster.orchestration.config_mistakes import mistakes_in

FILE_VARIABLE = "DISTIL_EXECUTOR"

Settings = Mapping[str, Any]
Cluster = Literal["kubernetes", "ecs"]
_CLUSTERS: tuple[Cluster, ...] = ("kubernetes", "ecs")


def executor_schema(defaults: Settings) -> dict[str, dg.Field]:
    """The executor's settings as Dagster's config; `defaults` are values for some of them."""
    schema = {
        "max_concurrent": dg.Field(dg.Int, is_required=False, description="Most steps of one run at a time."),
        "gpu": dg.Field(_gpu(defaults.get("gpu", {})), default_value={"local": {}}, description="Where GPU steps run."),
        "retries": get_retries_config(),
        "tag_concurrency_limits": get_tag_concurrency_limits_config(),
    }
    return _with_defaults(schema, defaults)


def default_settings() -> Settings:
    """What the file says that DISTIL_EXECUTOR names; nothing where the variable is unset.

    Raises:
        ConfigError: the file cannot be read or has mistakes; names file, line and key of each.
    """
    path = os.environ.get(FILE_VARIABLE)
    return read_settings(Path(path)) if path else {}


def read_settings(path: Path) -> Settings:
    """The settings in a file, checked against the schemas of this executor and of the libraries of clusters.

    Raises:
        ConfigError: the file cannot be read or has mistakes; names file, line and key of each.
    """
    document = read_document(path)
    content = _without_empty_values({} if document.content is None else document.content)
    mistakes: list[tuple[Key, str]] = list(mistakes_in(dg.Shape(executor_schema({})), content))
    if not mistakes and content.get("max_concurrent", 1) < 1:
        mistakes.append((("max_concurrent",), "must be at least 1"))
    if not mistakes:
        for kind in _CLUSTERS:
            if kind in content.get("gpu", {}):
                found = mistakes_in(cluster_schema(kind), content["gpu"][kind] or {})
                mistakes += [(("gpu", kind, *key), message) for key, message in found]
    problems = [*document.repeated, *(document.problem(key, message) for key, message in mistakes)]
    if problems:
        raise ConfigError(problems)
    return content


def _without_empty_values(content: Any) -> Any:
    """A key of `gpu.local` with nothing behind it is as good as none: what is left when its last entry is removed."""
    match content:
        case {"gpu": {"local": dict(local)}}:
            given = {key: value for key, value in local.items() if value is not None}
            return {**content, "gpu": {**content["gpu"], "local": given}}
    return content


def of_cluster(kind: Cluster, typed: Settings, defaults: Settings) -> Settings:
    """The settings of a cluster: what is typed, then the file's, with values from the environment put in.

    Raises:
        ConfigError: they do not fit the schema of the library that starts steps there, or a variable is not set.
    """
    schema, place = cluster_schema(kind), ("execution", "config", "gpu", kind)
    settings = {**(defaults.get("gpu", {}).get(kind) or {}), **typed}
    mistakes = list(mistakes_in(schema, settings))
    if not mistakes:
        processed = process_config(schema, settings)
        if processed.success:
            return processed.value or {}
        mistakes = [((), error.message) for error in processed.errors or ()]
    raise ConfigError([Problem("run config", None, dotted((*place, *key)), message) for key, message in mistakes])


def cluster_schema(kind: Cluster) -> dg.Shape:
    """The settings of one kind of cluster, as the library defines them that starts steps there.

    Raises:
        ConfigError: the library is not installed.
    """
    # Each takes a second or two to import.
    try:
        if kind == "kubernetes":
            from distil_dagster.orchestration.kubernetes_steps import SCHEMA
        else:
            from distil_dagster.orchestration.ecs_steps import SCHEMA
    except ModuleNotFoundError as error:
        message = f"needs the package {error.name}: run `pip install '.[cluster]'` in the checkout"
        raise ConfigError([Problem("executor", None, f"gpu.{kind}", message)]) from None
    return dg.Shape(SCHEMA)


def _gpu(defaults: Settings) -> dg.Selector:
    local = {
        "command": dg.Field(
            [str], default_value=[], description="The command that GPU steps are started under: [srun, --gres=gpu:1]."
        ),
        "environment": dg.Field(
            dg.Map(str, dg.StringSource),
            default_value={},
            description="Environment of GPU steps, such as CUDA_VISIBLE_DEVICES.",
        ),
    }
    return dg.Selector(
        {
            "local": dg.Field(
                _with_defaults(local, defaults.get("local") or {}), description="Processes of the run's own machine."
            ),
            "kubernetes": dg.Field(
                dg.Permissive(), description="A Kubernetes job for each step; takes the settings of k8s_job_executor."
            ),
            "ecs": dg.Field(
                dg.Permissive(), description="An ECS task for each step; takes the settings of ecs_executor."
            ),
        }
    )


def _with_defaults(schema: Mapping[str, dg.Field], defaults: Settings) -> dict[str, dg.Field]:
    return {
        name: dg.Field(field.config_type, default_value=defaults[name], description=field.description)
        if name in defaults
        else field
        for name, field in schema.items()
    }
