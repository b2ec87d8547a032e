"""From the traces to a student: whether the latest of the one led to the latest of the other."""

import dagster as dg

_WAY = ("traces", "seed_data", "synthetic_dataset", "sft_adapter", "model_bundle")
"""Assets of which each is made of the one before."""


def is_distilled(instance: dg.DagsterInstance, partition: str) -> bool:
    """Whether the latest student was made of the latest traces: each asset on the way came after the one before.

    Not so while a distillation is under way or after one that failed, nor for a retune of older data.
    """
    positions = [position(instance, asset, partition) for asset in _WAY]
    return positions[0] > 0 and positions == sorted(positions)


def position(instance: dg.DagsterInstance, asset: str, partition: str) -> int:
    """Where the latest materialization of an asset stands among all events; 0 where there is none."""
    record = instance.get_latest_data_version_record(dg.AssetKey(asset), False, partition)
    return 0 if record is None else record.storage_id
