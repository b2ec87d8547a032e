"""How long the code location takes to load, beside a Dagster project with one empty asset, in the same run.

python benchmarks/definitions_load.py

Each is imported in a fresh interpreter, in turns, after one round that warms the file cache; the medians are compared.
The limit is 1.5 times.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROUNDS = 9
LIMIT = 1.5
EMPTY = """
import dagster as dg


@dg.asset
def empty() -> None: ...


defs = dg.Definitions(assets=[empty])
"""


def seconds(module: str, path: Path) -> float:
    """Seconds from the start of an interpreter to definitions that Dagster could serve."""
    code = f"from {module} import defs; defs.resolve_asset_graph()"
    # Compiled once, as an installed package is, whatever this shell says.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = str(path)
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    return time.perf_counter() - started


def main() -> int:
    """Print both medians and their ratio; 1 where the ratio is above the limit."""
    root = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "empty_project.py").write_text(EMPTY, encoding="utf-8")
        pairs = [
            (seconds("distil_dagster.definitions", root), seconds("empty_project", Path(folder)))
            for _ in range(ROUNDS + 1)
        ][1:]
    ours, empty = (median(times) for times in zip(*pairs, strict=True))
    print(f"distil_dagster {ours:.2f} s, one empty asset {empty:.2f} s, ratio {ours / empty:.2f} (limit {LIMIT})")
    return int(ours / empty > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
