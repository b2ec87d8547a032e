"""Checks of one partition at a time."""

import warnings
from collections.abc import Callable
from typing import Any

import dagster as dg

from distil_dagster.orchestration.partitions import configs


def partitioned_check(**options: Any) -> Callable[[Callable[..., dg.AssetCheckResult]], dg.AssetChecksDefinition]:
    """`dagster.asset_check` for one configuration: its inputs are those of the partition that the run is about.

    Without partitions of its own a check would be handed all partitions of its inputs at once. Dagster calls that
    argument a preview and warns of it each time; the version is pinned, so the warning has nothing to tell a user.
    """

    def decorate(function: Callable[..., dg.AssetCheckResult]) -> dg.AssetChecksDefinition:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.PreviewWarning)
            return dg.asset_check(partitions_def=configs, **options)(function)

    return decorate
