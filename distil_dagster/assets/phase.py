"""What all phases have in common as assets: partitions, device, what they read of the configuration, owners."""

import os
from collections.abc import Callable, Sequence
from functools import wraps
from inspect import Signature, signature
from typing import Any, Literal

import dagster as dg

from distil_dagster.assets.checks import Check
from distil_dagster.orchestration.executors import GPU_POOL, ON_CPU, ON_GPU
from distil_dagster.orchestration.inputs import Input, data_version, input_key
from distil_dagster.orchestration.partitions import configs

OWNERS_VARIABLE = "DISTIL_OWNERS"
_OWNERS = "team:distillation"


def phase(
    group: str,
    *,
    on: Literal["cpu", "gpu"],
    reading: Sequence[Input],
    kinds: set[str],
    checks: Sequence[Check[Any]] = (),
    buys_answers: bool = False,
    code_version: str = "1",
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """`dagster.asset` for one phase of one configuration.

    `reading` are the inputs whose change makes the artefact stale. `code_version` is raised when the phase makes
    something else of the same inputs. The function gives the results of its `checks` with the artefact. On the GPU a
    phase waits for its place in the pool.
    """

    def decorate(function: Callable[..., Any]) -> dg.AssetsDefinition:
        return dg.asset(
            partitions_def=configs,
            group_name=group,
            kinds=kinds,
            op_tags=ON_GPU if on == "gpu" else ON_CPU,
            pool=GPU_POOL if on == "gpu" else None,
            deps=[input_key(name) for name in reading],
            code_version=code_version,
            owners=owners(),
            check_specs=[check.spec(function.__name__) for check in checks],
            tags={"device": on, **({"buys": "answers"} if buys_answers else {})},
        )(_versioned(function, reading, code_version))

    return decorate


def _versioned(function: Callable[..., Any], reading: Sequence[Input], code_version: str) -> Callable[..., Any]:
    @wraps(function)
    def versioned(context: dg.AssetExecutionContext, **inputs: Any) -> Any:
        context.set_data_version("result", data_version(context, reading, code_version))
        return function(context, **inputs)

    # Dagster reads it as the type of all outputs, of which each check is one.
    versioned.__signature__ = signature(function).replace(return_annotation=Signature.empty)  # type: ignore[attr-defined]
    versioned.__annotations__ = {name: kind for name, kind in function.__annotations__.items() if name != "return"}
    return versioned


def owners() -> list[str]:
    """Who answers for the assets: what `DISTIL_OWNERS` lists, mail addresses and `team:name`, with commas between."""
    return [owner.strip() for owner in os.environ.get(OWNERS_VARIABLE, _OWNERS).split(",") if owner.strip()]
