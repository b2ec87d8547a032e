"""The command line: `distil-dagster validate | run | report | simulate`."""

from distil_dagster.cli.main import main

__all__ = ["main"]
