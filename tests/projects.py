"""A project in a temporary folder: configurations, artefacts, and a simulated teacher to ask."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
import yaml

from distil_dagster.data.store import ArtefactStore
from distil_dagster.simulator.options import Options
from distil_dagster.simulator.server import SimulatedTeacher


@dataclass(frozen=True)
class Project:
    """A folder with configurations and artefacts; `partition` is the configuration that is run."""

    root: Path
    teacher: SimulatedTeacher
    partition: str = "letters"

    @property
    def store(self) -> ArtefactStore:
        return ArtefactStore(self.root / "artefacts")

    def write(self, values: dict) -> None:
        (self.root / "configs" / f"{self.partition}.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")

    def set(self, section: str, key: str, value: object) -> None:
        path = self.root / "configs" / f"{self.partition}.yaml"
        values = yaml.safe_load(path.read_text())
        values.setdefault(section, {})[key] = value
        self.write(values)

    def run(
        self, job: str = "distil", typed: dict | None = None, assets: list[str] | None = None, instance=None, tags=None
    ):
        from distil_dagster.definitions import defs
        from distil_dagster.orchestration.partitions import add_partitions
        from distil_dagster.orchestration.storage import ArtefactIOManager, Store

        store = Store(root=str(self.root / "artefacts"))
        resources = {**defs.resources, "store": store, "io_manager": ArtefactIOManager(store=store)}
        instance = instance or dg.DagsterInstance.ephemeral()
        add_partitions(instance, [self.partition])
        run_config = {"resources": {"distil": {"config": typed}}} if typed else None
        return (
            dg.Definitions(assets=defs.assets, jobs=defs.jobs, resources=resources)
            .resolve_job_def(job)
            .execute_in_process(
                run_config=run_config,
                instance=instance,
                partition_key=self.partition if job != "rank" else None,
                asset_selection=[dg.AssetKey(name) for name in assets] if assets else None,
                raise_on_error=False,
                tags=tags,
            )
        )


@contextmanager
def opened_project(root: Path, case: Path, config: dict, options: Options | None = None) -> Iterator[Project]:
    (root / "configs").mkdir()
    with SimulatedTeacher(case, options) as teacher, pytest.MonkeyPatch.context() as patch:
        route = {"model": "openai/simulated/{name}", "base_url": teacher.base_url, "api_key_env": "NO_KEY_NEEDED"}
        (root / "models.yaml").write_text(yaml.safe_dump({"*": route}), encoding="utf-8")
        patch.setenv("DISTIL_CONFIGS", str(root / "configs"))
        patch.setenv("DISTIL_ARTEFACTS", str(root / "artefacts"))
        patch.setenv("DISTIL_MODELS", str(root / "models.yaml"))
        patch.setenv("NO_KEY_NEEDED", "none")
        patch.setenv("OMP_NUM_THREADS", "1")
        project = Project(root, teacher)
        project.write(config)
        yield project
