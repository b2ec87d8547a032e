"""Where artefacts are: the store that assets are given, and the IO manager that writes to it and reads from it."""

import os
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from distil_dagster.data.store import ArtefactStore
from distil_dagster.job import Job
from distil_dagster.llm.client import Client, open_client

STORE_KEY = "store"
ROOT_VARIABLE = "DISTIL_ARTEFACTS"


class Store(dg.ConfigurableResource):
    """The artefacts and the journal of answers, under one root folder."""

    root: str = Field(description="The folder that holds artefacts and journal.")

    @property
    def artefacts(self) -> ArtefactStore:
        """The artefacts."""
        return ArtefactStore(Path(self.root).resolve())

    def client(self, job: Job) -> Client:
        """A client of paid answers, to be closed after use; all jobs under one root share its journal."""
        self.artefacts.root.mkdir(parents=True, exist_ok=True)
        return open_client(job.config, self.artefacts.root)


def default_root() -> str:
    """What `DISTIL_ARTEFACTS` names, else `artefacts` in the working directory."""
    return os.environ.get(ROOT_VARIABLE, "artefacts")


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
