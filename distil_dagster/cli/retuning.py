"""`retune`: trains again from a configuration's synthetic dataset, with another student or other tuning."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from distil_dagster.cli.running import Simulation, find_config, run, settle_dagster_home
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
_RETUNED = "sft_adapter,rlvr_adapter,eval_report,model_bundle,leaderboard"


def retune(
    name: str, typed: Mapping[str, Mapping[str, Any]], new_name: str | None, simulation: Simulation | None
) -> int:
    """Train, evaluate and deliver anew, from data that are there already; nothing of them is bought again.

    With `new_name` the outcome stands beside that of `name`, as a configuration of its own, else in its place.

    Raises:
        ConfigError: the configuration has mistakes, or a typed setting would need other data.
        DistilError: there are no data yet, or there is a configuration called `new_name` already.
    """
    from distil_dagster.orchestration.resources import Store, default_root

    require_retunable(typed)
    path = find_config(name)
    loaded = load_config(path, typed)
    store = Store(root=default_root()).artefacts
    _require_data(store, loaded.name)
    if new_name is None:
        return run(str(path), typed, _RETUNED, simulation, job="retune")
    branch = _write_branch(loaded, typed, new_name)
    _take_over_data(store, loaded.name, new_name)
    return run(str(branch), {}, _RETUNED, simulation, job="retune")


def _require_data(store: ArtefactStore, partition: str) -> None:
    missing = [asset for asset in DATA_ASSETS if not store.folder(asset, partition).is_dir()]
    if missing:
        raise DistilError(f"{partition}: no {', '.join(missing)} yet; run `distil-dagster run {partition}` first")


def _write_branch(loaded: LoadedConfig, typed: Mapping[str, Mapping[str, Any]], new_name: str) -> Path:
    """Write the configuration `new_name`: the old one, under what was typed, of the same data."""
    old = loaded.path
    folder = old.parents[1] if old.stem == "config" else old.parent
    if Path(new_name).name != new_name:
        raise DistilError(f"--as {new_name}: must be a name, not a path")
    path = folder / f"{new_name}.yaml"
    if new_name in config_paths(folder):
        raise DistilError(f"{path}: there is a configuration called {new_name} already; choose another name")
    content = dict(read_document(old).content)
    for section, keys in typed.items():
        content[section] = {**(content.get(section) or {}), **keys}
    data = {**(content.get("data") or {}), "path": os.path.relpath(loaded.data_folder, folder)}
    if loaded.students:
        data["students"] = loaded.students
    text = yaml.safe_dump(content | {"data": data}, sort_keys=False, allow_unicode=True)
    write_text(path, f"# {loaded.name}, retuned.\n{text}")
    return path


def _take_over_data(store: ArtefactStore, partition: str, new_partition: str) -> None:
    """Give the new configuration the data of the old one, in the store and in Dagster's catalogue."""
    settle_dagster_home()
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        for asset in DATA_ASSETS:
            folder = store.copy(asset, partition, new_partition)
            instance.report_runless_asset_event(
                dg.AssetMaterialization(
                    asset_key=asset,
                    partition=new_partition,
                    metadata={"taken_over_from": partition, "path": dg.MetadataValue.path(str(folder))},
                )
            )
