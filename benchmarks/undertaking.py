"""A job that a benchmark takes from traces to a trained student, with the core's functions and a simulated teacher."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from distil_dagster.config.catalogue import ANY_MODEL, ROUTES_VARIABLE
from distil_dagster.data.examples import Example
from distil_dagster.evaluation.scoring import score_predictions
from distil_dagster.job import Job, open_job
from distil_dagster.llm.client import Client, open_client
from distil_dagster.simulator.options import Options
from distil_dagster.simulator.server import SimulatedTeacher
from distil_dagster.synthesis.loop import generate
from distil_dagster.synthesis.rows import SyntheticDataset
from distil_dagster.traces.of_job import traces_of
from distil_dagster.traces.relabel import relabel_traces
from distil_dagster.traces.relevance import filter_traces
from distil_dagster.traces.seeds import SeedData, build_seed_data
from distil_dagster.training.job import GrpoJob, SftJob
from distil_dagster.training.launch import run_worker
from distil_dagster.training.preparing import is_trained, prepare_prediction, prepare_sft
from distil_dagster.training.rows import Written, read_rows
from distil_dagster.training.weights import Weights, student_weights

# What suits SmolLM2-135M and a few hundred rows.
SMALL_STUDENT_TUNING = {
    "learning_rate": 1e-3,
    "learning_rate_scheduler": "cosine",
    "lora_r": 16,
    "lora_alpha_multiplier": 2,
    "per_device_train_batch_size": 8,
    "per_device_eval_batch_size": 16,
    "train_eval_split": 0.1,
}

log = logging.getLogger("distil_dagster")

_KEY_VARIABLE = "DISTIL_SIMULATED_KEY"


def show_progress() -> None:
    """Print the package's lines where errors go; the table alone is on standard output."""
    log.setLevel(logging.INFO)
    log.addHandler(logging.StreamHandler(sys.stderr))


@dataclass(frozen=True)
class Undertaking:
    """An opened job, the client of its teacher, and a folder to work in."""

    job: Job
    client: Client
    teacher: SimulatedTeacher
    root: Path

    def seeds(self) -> SeedData:
        """What trace processing makes of the job's traces, under the configuration's settings."""
        job, settings = self.job, self.job.config.trace_processing
        traces = traces_of(job)
        if not traces.lines:
            raise SystemExit(traces.note)
        length = job.max_total_length
        filtered = filter_traces(traces, job.task, job.description, settings, self.client)
        relabelled = relabel_traces(filtered, job.task, settings, self.client, max_total_length=length)
        return build_seed_data(job.folder, traces, relabelled, job.task, settings, max_total_length=length)

    def synthetic(self, seeds: SeedData) -> SyntheticDataset:
        """What the teacher writes from the seeds."""
        base = self.job.config.base
        return generate(
            seeds,
            self.job.task,
            self.job.config.synthgen,
            self.client,
            teacher=base.teacher_model_name,
            seed=base.random_seed,
        )

    def weights(self) -> Weights:
        """The student before training."""
        return student_weights(self.job.config.base.student_model_name, self.job.students)

    def trained(self, training: SftJob | GrpoJob) -> SftJob | GrpoJob:
        """Run a training in a process of its own, unless an equal one stands already."""
        if not is_trained(training):
            run_worker(training, training.output.parent)
        return training

    def tuned(self, examples: Sequence[Example]) -> Path:
        """The adapter that SFT on the examples makes."""
        training = prepare_sft(self.job, examples, self.weights(), self.root / "sft")
        self.trained(training)
        return training.output

    def scores(self, adapter: Path | None, rows: Sequence[Example]) -> list[float]:
        """How right the student is on each row, by the job's primary metric."""
        prediction = prepare_prediction(self.job, rows, self.weights().folder, adapter, self.root / "predict")
        if not prediction.output.is_file():
            run_worker(prediction, prediction.output.parent)
        texts = [written.text for written in read_rows(prediction.output, Written)]
        scored = score_predictions(self.job.task, rows, texts, None, model="sft", label="student")
        return scored.known_scores(self.job.task.primary_metric)


@contextmanager
def undertaking(
    case: Path, sections: Mapping[str, Mapping[str, Any]], root: Path, options: Options | None = None
) -> Iterator[Undertaking]:
    """Open the job of a folder under the given settings, with a simulated teacher that knows the folder's answers."""
    root.mkdir(parents=True, exist_ok=True)
    config = root / "job.yaml"
    values: dict[str, Any] = {name: dict(settings) for name, settings in sections.items()}
    values.setdefault("data", {})["path"] = str(case.resolve())
    config.write_text(yaml.safe_dump(values), encoding="utf-8")
    with SimulatedTeacher(case, options) as teacher:
        route = {"model": "openai/simulated/{name}", "base_url": teacher.base_url, "api_key_env": _KEY_VARIABLE}
        (root / "models.yaml").write_text(yaml.safe_dump({ANY_MODEL: route}), encoding="utf-8")
        os.environ[ROUTES_VARIABLE] = str(root / "models.yaml")
        os.environ[_KEY_VARIABLE] = "none-needed"
        job = open_job(config)
        with open_client(job.config, root) as client:
            yield Undertaking(job, client, teacher, root)
