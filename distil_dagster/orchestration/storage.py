"""The store that assets are given, and the IO manager that writes to it and reads from it."""

from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from distil_dagster.data.artefact_files import folder_fields
from distil_dagster.data.fingerprints import folder_version
from distil_dagster.data.objects import is_remote
from distil_dagster.data.remote_store import RemoteArtefactStore
from distil_dagster.data.store import ArtefactStore
from distil_dagster.job import Job
from distil_dagster.llm.client import Client, open_client
from distil_dagster.orchestration.places import default_root as default_root
from distil_dagster.orchestration.places import work_folder
from distil_dagster.orchestration.s3 import s3_prefix

STORE_KEY = "store"


class Store(dg.ConfigurableResource):
    """The artefacts under one root, and the journal of answers."""

    root: str = Field(description="The folder that holds artefacts and journal, or an s3:// prefix for the artefacts.")

    @property
    def artefacts(self) -> ArtefactStore:
        """The artefacts."""
        work = work_folder(self.root)
        if is_remote(self.root):
            return RemoteArtefactStore(work, work, prefix=s3_prefix(self.root))
        return ArtefactStore(Path(self.root).resolve(), work)

    @property
    def journal_folder(self) -> Path:
        """The folder of the journal, made where it is missing: beside the artefacts, or beside this machine's work."""
        folder = work_folder(self.root) if is_remote(self.root) else Path(self.root).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def client(self, job: Job) -> Client:
        """A client of paid answers, to be closed after use; all jobs under one root share its journal."""
        return open_client(job.config, self.journal_folder)


class ArtefactIOManager(dg.ConfigurableIOManager):
    """Writes what assets return and reads what they ask for, by the type of the input's annotation."""

    store: dg.ResourceDependency[Store]

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Store an artefact, and show where it and its folders are; assets without one store nothing.

        Its data version is its content's. Dagster's own would be made of its inputs' versions, and of those it knows
        none that are observed in partitions; nor would it tell what was made anew without a seed.
        """
        if obj is None:
            return
        artefacts, name, partition = self.store.artefacts, _name(context.asset_key), _partition(context)
        location = artefacts.save(name, partition, obj)
        version = folder_version(artefacts.folder(name, partition))
        context.step_context.set_data_version(context.asset_key, dg.DataVersion(version))
        shown = {"path": location} | {f"path/{field}": f"{location}/{field}" for field in folder_fields(type(obj))}
        context.add_output_metadata({key: dg.MetadataValue.path(path) for key, path in shown.items()})

    def load_input(self, context: dg.InputContext) -> Any:
        """Read an artefact back."""
        kind = context.dagster_type.typing_type
        return self.store.artefacts.load(_name(context.asset_key), _partition(context), kind)


def _name(key: dg.AssetKey) -> str:
    return "__".join(key.path)


def _partition(context: dg.OutputContext | dg.InputContext) -> str | None:
    return context.asset_partition_key if context.has_asset_partitions else None
