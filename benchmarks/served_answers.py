"""Whether the folder that a user takes away answers, served, as the report says.

The latest bundle of a configuration is copied to another folder and put behind `transformers serve`; its own
model_client.py asks every test row. Each answer must be the one that the report shows for the student.

    python benchmarks/served_answers.py quickstart
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from distil_dagster.assets.delivery import ModelBundle
from distil_dagster.cli.running import find_config
from distil_dagster.cli.serving import transformers_server
from distil_dagster.evaluation.artefacts import EvalReport
from distil_dagster.job import open_job
from distil_dagster.orchestration.storage import Store, default_root
from distil_dagster.traces.seeds import SeedData

PATIENCE_SECONDS = 180


def client_of(bundle: Path) -> Any:
    """The bundle's model_client.py as a module."""
    spec = importlib.util.spec_from_file_location("model_client", bundle / "model_client.py")
    if spec is None or spec.loader is None:
        raise SystemExit(f"{bundle}: no model_client.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def wait_for(server: subprocess.Popen[bytes], address: str) -> None:
    """Wait until the server answers."""
    for _ in range(PATIENCE_SECONDS):
        if server.poll() is not None:
            raise SystemExit(f"the server ended with code {server.returncode}")
        try:
            urllib.request.urlopen(f"{address}/health", timeout=1).close()
        except (urllib.error.URLError, TimeoutError):
            time.sleep(1)
        else:
            return
    raise SystemExit(f"the server did not answer in {PATIENCE_SECONDS} seconds")


def main() -> None:
    """Serve, ask, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="a configuration that was run")
    config = find_config(parser.parse_args().config)
    job, store = open_job(config), Store(root=default_root()).artefacts
    rows = job.evaluation_rows(store.load("seed_data", job.name, SeedData).test)
    report = store.load("eval_report", job.name, EvalReport)
    shown = (report.report / "predictions" / f"{report.shipped}.jsonl").read_text(encoding="utf-8")
    expected = [json.loads(line)["prediction"] for line in shown.split("\n") if line]
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as free:
        bundle = Path(shutil.copytree(store.load("model_bundle", job.name, ModelBundle).bundle, Path(folder) / "taken"))
        port = free.getsockname()[1]
        free.close()
        command = transformers_server("127.0.0.1", port)
        with subprocess.Popen(command.arguments, cwd=bundle, stdout=subprocess.DEVNULL) as server:
            try:
                address = f"http://127.0.0.1:{port}"
                wait_for(server, address)
                client = client_of(bundle).ModelClient(f"{address}/v1", command.model)
                started = time.monotonic()
                # What follows the system prompt is the conversation; model_client.py adds the prompt itself.
                answers = [client.answer(job.task.prompt(row)[1:]) for row in rows]
                seconds = time.monotonic() - started
            finally:
                server.terminate()
    read = [job.task.parse_prediction(answer).text for answer in answers]
    same = sum(one == other for one, other in zip(read, expected, strict=True))
    print(f"{same} of {len(rows)} answers are those of the report ({report.shipped}), {seconds:.0f} s")
    for row, one, other in zip(rows, read, expected, strict=True):
        if one != other:
            print(f"{row.question[:80]!r}: served {one!r}, report {other!r}")
    if same < len(rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
