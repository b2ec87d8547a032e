"""The command line: `distil-dagster validate | run | retune | report | serve | simulate`."""

from distil_dagster.cli.main import main

__all__ = ["main"]
