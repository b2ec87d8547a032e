"""Materializes assets of one configuration in this process, and shows on the terminal what happens."""

import os
import re
import shutil
import time
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distil_dagster.cli.console import RunConsole, package_log_shown
from distil_dagster.errors import DistilError
from distil_dagster.orchestration.config_files import FOLDER_VARIABLE

if TYPE_CHECKING:
    import dagster as dg

LEADERBOARD = "leaderboard"
# Dagster's own lines would drown ours; they are all in the run's log.
_QUIET: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
# Dagster reads a bare name in an older syntax, in which + reaches one layer only.
_BARE_NAME = re.compile(r"^(\+?)(\w+)(\+?)$")


def materialize(
    path: Path,
    typed: Mapping[str, Mapping[str, Any]],
    console: RunConsole,
    job: str,
    select: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> bool:
    """Materialize the assets of `job`, or those selected, for the configuration in a file; whether all went well.

    Raises:
        DistilError: a selected asset that there is not.
    """
    partition, folder = place_of(path)
    os.environ[FOLDER_VARIABLE] = str(folder)
    settle_dagster_home()
    import dagster as dg

    from distil_dagster.definitions import defs
    from distil_dagster.orchestration.partitions import add_partitions

    definition = defs.resolve_job_def(job)
    chosen = selected_assets(defs, select) if select else sorted(definition.asset_layer.executable_asset_keys)
    console.follow(key.to_user_string() for key in chosen)
    with ExitStack() as stack:
        instance = stack.enter_context(dg.DagsterInstance.get())
        add_partitions(instance, [partition])
        in_events = "distil_dagster" in instance.managed_python_loggers
        stack.enter_context(package_log_shown(console, already_in_events=in_events))
        started = time.monotonic()
        partitioned = [key for key in chosen if key.to_user_string() != LEADERBOARD]
        run = _Run(instance, partition, typed, partitioned, tags or {})
        succeeded = not partitioned or run.execute(_job_of(defs, definition, partitioned), console)
        console.finished(succeeded, time.monotonic() - started)
    if succeeded and len(partitioned) < len(chosen):
        rank()
    return succeeded


def rank() -> None:
    """Materialize the leaderboard, which has no partitions and so needs a run of its own."""
    settle_dagster_home()
    import dagster as dg

    from distil_dagster.definitions import defs

    with dg.DagsterInstance.get() as instance:
        defs.resolve_job_def("rank").execute_in_process(run_config=dict(_QUIET), instance=instance)


def place_of(path: Path) -> tuple[str, Path]:
    """The partition of a configuration's file, and the folder of configurations that it stands in."""
    return (path.parent.name, path.parents[1]) if path.stem == "config" else (path.stem, path.parent)


@dataclass(frozen=True)
class _Run:
    """One run of a configuration in this process."""

    instance: "dg.DagsterInstance"
    partition: str
    typed: Mapping[str, Mapping[str, Any]]
    assets: "list[dg.AssetKey]"
    tags: Mapping[str, str]

    def execute(self, job: "dg.JobDefinition", console: RunConsole) -> bool:
        from distil_dagster.orchestration.resources import CONFIG_KEY

        run_id = str(uuid.uuid4())
        self.instance.add_event_listener(run_id, console.show_event)
        typed = {"resources": {CONFIG_KEY: {"config": dict(self.typed)}}} if self.typed else {}
        result = job.execute_in_process(
            run_config=_QUIET | typed,
            instance=self.instance,
            partition_key=self.partition,
            raise_on_error=False,
            asset_selection=self.assets,
            run_id=run_id,
            tags=dict(self.tags),
        )
        return result.success


def _job_of(defs: "dg.Definitions", job: "dg.JobDefinition", assets: "list[dg.AssetKey]") -> "dg.JobDefinition":
    """The job; where not all selected assets are its own, the one that Dagster makes of all there are."""
    own = {*assets} <= {*job.asset_layer.executable_asset_keys}
    return job if own else defs.resolve_implicit_global_asset_job_def()


def settle_dagster_home() -> None:
    """Where no home is named it is `.dagster`, with the project's settings, so that the UI shows the run too."""
    os.environ.setdefault("DAGSTER_HOME", str(Path(".dagster").resolve()))
    home = Path(os.environ["DAGSTER_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    if Path("dagster.yaml").is_file() and not (home / "dagster.yaml").exists():
        shutil.copy("dagster.yaml", home)


def selected_assets(defs: "dg.Definitions", select: str) -> "list[dg.AssetKey]":
    """The assets that `--select` means.

    Raises:
        DistilError: a name that no asset has.
    """
    import dagster as dg

    try:
        parts = [
            dg.AssetSelection.from_string(_BARE_NAME.sub(r"\1key:\2\3", part.strip())) for part in select.split(",")
        ]
        graph = defs.resolve_asset_graph()
        chosen = reduce(or_, parts).resolve(graph) & graph.materializable_asset_keys
    except dg.DagsterError as error:
        raise DistilError(f"--select {select}: {error}") from None
    if not chosen:
        raise DistilError(f"--select {select}: no asset is called that")
    return sorted(chosen)
