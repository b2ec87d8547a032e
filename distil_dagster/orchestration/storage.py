"""The IO manager: tables as Parquet, the rest as JSON and folders, one folder an asset and partition."""

from typing import Any

import dagster as dg

from distil_dagster.orchestration.resources import Store


class ArtefactIOManager(dg.ConfigurableIOManager):
    """Writes what assets return and reads what they ask for, by the type of the input's annotation."""

    store: dg.ResourceDependency[Store]

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Store an artefact; assets without one, such as the leaderboard, store nothing."""
        if obj is None:
            return
        folder = self.store.artefacts.save(_name(context.asset_key), _partition(context), obj)
        context.add_output_metadata({"path": dg.MetadataValue.path(str(folder))})

    def load_input(self, context: dg.InputContext) -> Any:
        """Read an artefact back."""
        kind = context.dagster_type.typing_type
        return self.store.artefacts.load(_name(context.asset_key), _partition(context), kind)


def _name(key: dg.AssetKey) -> str:
    return "__".join(key.path)


def _partition(context: dg.OutputContext | dg.InputContext) -> str | None:
    return context.asset_partition_key if context.has_asset_partitions else None
