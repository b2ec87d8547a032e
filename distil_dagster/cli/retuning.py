"""`retune`: trains again from a configuration's synthetic dataset, with another student or other tuning."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from distil_dagster.cli.materializing import place_of, settle_dagster_home
from distil_dagster.cli.running import find_config, run
from distil_dagster.cli.simulation import Simulation
from distil_dagster.config.documents import read_document
from distil_dagster.config.loading import LoadedConfig, load_config
from distil_dagster.config.retuning import require_retunable
from distil_dagster.data.store import ArtefactStore, write_text
from distil_dagster.errors import DistilError
from distil_dagster.orchestration.config_files import config_paths

DATA_ASSETS = (
    "traces",
    "filtered_traces",
    "relabelled_traces",
    "seed_data",
    "synthetic_dataset",
    "teacher_evaluation",
)
# `config` alone would be called after its folder.
_NAME = re.compile(r"(?!config$)\w[\w.-]*")


def retune(
    name: str, typed: Mapping[str, Mapping[str, Any]], new_name: str | None, simulation: Simulation | None
) -> int:
    """Train, evaluate and deliver anew, from data that are there already; nothing of them is bought again.

    With `new_name` the outcome stands beside that of `name`, as a configuration of its own, else in its place.

    Raises:
        ConfigError: the configuration has mistakes, or a typed setting would need other data.
        DistilError: there are no data yet, or there is a configuration called `new_name` already.
    """
    from distil_dagster.orchestration.storage import Store, default_root

    require_retunable(typed)
    path = find_config(name)
    loaded = load_config(path, typed)
    if new_name is None:
        _require_data(Store(root=default_root()).artefacts, loaded.name)
        return run(str(path), typed, None, simulation, job="retune")
    (branch,) = branch_off(loaded, {new_name: typed})
    return run(str(branch), {}, None, simulation, job="retune")


def branch_off(loaded: LoadedConfig, branches: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[Path]:
    """Write configurations with a new name and other settings of training each, over the data of the old one.

    Raises:
        ConfigError: a setting would need other data; nothing was written.
        DistilError: there are no data yet, or a name is taken; nothing was written.
    """
    from distil_dagster.orchestration.storage import Store, default_root

    store = Store(root=default_root()).artefacts
    for typed in branches.values():
        require_retunable(typed)
    _require_data(store, loaded.name)
    paths = [_branch_path(loaded, name, store) for name in branches]
    for path, (name, typed) in zip(paths, branches.items(), strict=True):
        _write_branch(path, loaded, typed)
        _take_over_data(store, loaded.name, name, path)
    return paths


def _require_data(store: ArtefactStore, partition: str) -> None:
    missing = [asset for asset in DATA_ASSETS if not store.exists(asset, partition)]
    if missing:
        raise DistilError(f"{partition}: no {', '.join(missing)} yet; run `distil-dagster run {partition}` first")


def _branch_path(loaded: LoadedConfig, new_name: str, store: ArtefactStore) -> Path:
    """Where the configuration `new_name` will stand.

    Raises:
        DistilError: it is no name, or one that is taken.
    """
    if not _NAME.fullmatch(new_name):
        raise DistilError(f"--as {new_name}: must be a name of letters, digits, dots, dashes and underscores")
    _, folder = place_of(loaded.path)
    if new_name in config_paths(folder):
        raise DistilError(
            f"{folder}: there is a configuration called {new_name} already; choose another name, or train that one "
            f"again: distil-dagster retune {new_name}"
        )
    if store.exists("eval_report", new_name):
        raise DistilError(f"--as {new_name}: there are artefacts of a configuration of that name; choose another")
    return folder / f"{new_name}.yaml"


def _write_branch(path: Path, loaded: LoadedConfig, typed: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a configuration: the old one, under what was typed, of the same data."""
    content = dict(read_document(loaded.path).content)
    for section, keys in typed.items():
        content[section] = {**(content.get(section) or {}), **keys}
    place = loaded.data_prefix or os.path.relpath(loaded.data_folder, path.parent)
    # New traces are for the configuration that the data are of; its branches would each be distilled anew.
    data = {**(content.get("data") or {}), "path": place, "redistil_on": "never"}
    if loaded.students:
        data["students"] = loaded.students
    text = yaml.safe_dump(content | {"data": data}, sort_keys=False, allow_unicode=True)
    write_text(path, f"# {loaded.name}, retuned.\n{text}")


def _take_over_data(store: ArtefactStore, partition: str, new_partition: str, path: Path) -> None:
    """Give the new configuration the data of the old one, in the store and in Dagster's catalogue."""
    settle_dagster_home()
    import dagster as dg

    from distil_dagster.definitions import defs
    from distil_dagster.orchestration.inputs import observe, provenance_taken_over, versions_now
    from distil_dagster.orchestration.partitions import add_partitions

    graph = defs.resolve_asset_graph()
    with dg.DagsterInstance.get() as instance:
        add_partitions(instance, [new_partition])
        observe(instance, new_partition, versions_now(path))
        for asset in DATA_ASSETS:
            location, key = store.copy(asset, partition, new_partition), dg.AssetKey(asset)
            instance.report_runless_asset_event(
                dg.AssetMaterialization(
                    asset_key=key,
                    partition=new_partition,
                    metadata={"taken_over_from": partition, "path": dg.MetadataValue.path(location)},
                    tags=provenance_taken_over(instance, graph, key, partition, new_partition),
                )
            )
