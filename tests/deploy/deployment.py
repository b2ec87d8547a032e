"""The files of deploy/ as the programs see them that read them."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILES = sorted(DEPLOY.glob("docker/*.Dockerfile"))
INSTANCES = sorted(DEPLOY.glob("*/dagster*.yaml"))
EXECUTORS = sorted(DEPLOY.glob("*/executor.yaml"))

_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<sign>[-?])(?P<rest>[^}]*))?\}")


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def constraints() -> dict[str, str]:
    """The version of each package."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    return dict(line.split("==") for line in lines if "==" in line)


def read_environment(path: Path) -> dict[str, str]:
    """The variables of an environment file; those that are commented out too."""
    return dict(re.findall(r"^(?:# )?([A-Z][A-Z_0-9]+)=(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE))


def compose_file(environment: dict[str, str]) -> Any:
    """The compose file with its variables put in, as compose puts them in."""

    def value(match: re.Match[str]) -> str:
        found = environment.get(match["name"], "")
        if found or match["sign"] is None:
            return found
        if match["sign"] == "?":
            raise KeyError(match["rest"])
        return match["rest"]

    text = (DEPLOY / "compose/docker-compose.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(_VARIABLE.sub(value, text))


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile, each with what follows it on its logical line."""
    lines = [line for line in dockerfile.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    logical = re.sub(r"\\\n", " ", "\n".join(lines)).splitlines()
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in logical if line.strip())]
