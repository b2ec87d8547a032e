"""A home for commands: configurations, artefacts, an instance of Dagster's, and a simulated teacher to ask."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml
from cli.conftest import environment_in, run_command

from distil_dagster.assets.training import Adapter
from distil_dagster.data.store import ArtefactStore


@dataclass(frozen=True)
class Home:
    """A folder of its own, and the case whose right answers the simulated teacher knows."""

    folder: Path
    case: Path

    @property
    def configs(self) -> Path:
        return self.folder / "configs"

    @property
    def config(self) -> str:
        return str(self.configs / "letters.yaml")

    @property
    def store(self) -> ArtefactStore:
        return ArtefactStore(self.folder / "artefacts")

    @property
    def environment(self) -> dict[str, str]:
        more = {"OMP_NUM_THREADS": "1", "COLUMNS": "160", "DISTIL_CONFIGS": str(self.configs)}
        return environment_in(self.folder) | more

    def write(self, name: str, config: dict) -> None:
        self.configs.mkdir(exist_ok=True)
        (self.configs / f"{name}.yaml").write_text(yaml.safe_dump(config))

    def command(self, *arguments: str, simulated: bool = True) -> subprocess.CompletedProcess:
        teacher = ["--simulated-teacher", str(self.case)] if simulated else []
        return run_command([*arguments, *teacher], self.environment)

    def adapter(self, partition: str) -> bytes:
        adapter = self.store.load("sft_adapter", partition, Adapter)
        return (adapter.weights / "adapter_model.safetensors").read_bytes()


def bought(done: subprocess.CompletedProcess) -> int:
    """How many answers a command had the simulated teacher give."""
    (count,) = re.findall(r"The simulated teacher answered (\d+) requests", done.stdout)
    return int(count)


def final_table(done: subprocess.CompletedProcess) -> str:
    """What `backfill` and `sweep` print in the end, a line a configuration."""
    return done.stdout[done.stdout.rindex("configuration") :]
