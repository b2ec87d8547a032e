"""How Dagster runs the assets: partitions, resources, storage, executors."""
