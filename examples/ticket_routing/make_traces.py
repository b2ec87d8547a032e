"""Writes the example's traces and their gold answers anew, byte for byte the same: python make_traces.py [FOLDER]."""

from __future__ import annotations

import sys
from pathlib import Path

from distil_dagster.simulator.noisy_traces import write_noisy_traces

HERE = Path(__file__).parent

if __name__ == "__main__":
    write_noisy_traces(HERE, Path(sys.argv[1]) if len(sys.argv) > 1 else HERE, count=900, seed=2026)
