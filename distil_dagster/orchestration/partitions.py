"""One partition for each configuration that there is or was; the sensor `configurations` adds what is new."""

import dagster as dg

PARTITION_TAG = "dagster/partition"

configs = dg.DynamicPartitionsDefinition(name="configs")


def add_partitions(instance: dg.DagsterInstance, names: list[str]) -> None:
    """Make partitions of these configurations, where they are not yet."""
    instance.add_dynamic_partitions(configs.name or "", names)
