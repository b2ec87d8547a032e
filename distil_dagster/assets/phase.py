"""What all phases have in common as assets: partitions, device, what they read of the configuration, owners."""

import os
from collections.abc import Callable, Sequence
from typing import Any, Literal

import dagster as dg

from distil_dagster.assets.checks import Check
from distil_dagster.orchestration.executors import GPU_POOL, ON_CPU, ON_GPU
from distil_dagster.orchestration.inputs import Input, input_key
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
        # Dagster reads it as the type of all outputs, of which each check is one.
        function.__annotations__.pop("return", None)
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
        )(function)

    return decorate


def owners() -> list[str]:
    """Who answers for the assets: what `DISTIL_OWNERS` lists, mail addresses and `team:name`, with commas between."""
    return [owner.strip() for owner in (os.environ.get(OWNERS_VARIABLE) or _OWNERS).split(",") if owner.strip()]
