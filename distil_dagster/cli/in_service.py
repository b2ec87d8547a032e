"""`service` and `rollback`: which student of a configuration answers in production, and the way back."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from distil_dagster.cli.console import RunConsole
from distil_dagster.cli.materializing import settle_dagster_home
from distil_dagster.cli.running import find_config
from distil_dagster.config.loading import load_config
from distil_dagster.data.store import ArtefactStore
from distil_dagster.errors import DistilError
from distil_dagster.evaluation.in_service import InService, ServiceEntry
from distil_dagster.evaluation.served_students import POINTER, kept_versions, pointer_of, served_student

if TYPE_CHECKING:
    import dagster as dg


def show_service(name: str) -> int:
    """Print which student is in service, where it lies, and every decision so far.

    Raises:
        DistilError: no student was in service yet.
    """
    store, partition, pointer = _pointer(name)
    bundle = served_student(store, partition, pointer.current).bundle if pointer.current else None
    RunConsole().service(partition, pointer, bundle)
    return 0


def rollback(name: str, version: str | None, why: str) -> int:
    """Put a student that was in service before back into service: `version`, or the one before.

    No run puts the student that it replaces into service again.

    Raises:
        DistilError: there is no such student, or it is not kept any more.
    """
    store, partition, pointer = _pointer(name)
    target = version or pointer.served_before()
    kept = [kept for kept in kept_versions(store, partition, pointer) if kept != pointer.current]
    if target not in kept:
        raise DistilError(f"{partition}: {target} cannot be rolled back to; there are {', '.join(kept) or 'none'}")
    entry = ServiceEntry(
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        version=target,
        action="rolled back",
        reason=why or f"from {pointer.current}, by hand",
    )
    settle_dagster_home()
    import dagster as dg

    # Opened first: where it cannot be, nothing has changed.
    with dg.DagsterInstance.get() as instance:
        store.save(POINTER, partition, pointer.after(entry))
        _report(instance, partition, entry)
    return show_service(name)


def _pointer(name: str) -> tuple[ArtefactStore, str, InService]:
    from distil_dagster.orchestration.storage import Store, default_root

    partition = load_config(find_config(name)).name
    store = Store(root=default_root()).artefacts
    pointer = pointer_of(store, partition)
    if not pointer.history:
        place = f"{default_root()}/{POINTER}"
        raise DistilError(
            f"{partition}: no student was in service yet, says {place}; run `distil-dagster run {name}` first"
        )
    return store, partition, pointer


def _report(instance: "dg.DagsterInstance", partition: str, entry: ServiceEntry) -> None:
    import dagster as dg

    from distil_dagster.orchestration.partitions import add_partitions

    add_partitions(instance, [partition])
    instance.report_runless_asset_event(
        dg.AssetMaterialization(
            asset_key=POINTER,
            partition=partition,
            metadata={"in_service": entry.version, "latest_decision": entry.action, "note": entry.reason},
        )
    )
