"""Small runs of the pipeline: its phases one after another, with the real client and a simulated provider."""

import json
import re
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from projects import opened_project
from small_trainings import Training, reinforced, tuned

from distil_dagster.evaluation.artefacts import TeacherEvaluation
from distil_dagster.evaluation.building import evaluate_teacher
from distil_dagster.job import Job, open_job
from distil_dagster.llm.client import Client, open_client
from distil_dagster.simulator.options import Options
from distil_dagster.synthesis.loop import generate
from distil_dagster.synthesis.rows import SyntheticDataset
from distil_dagster.traces.ingest import Traces
from distil_dagster.traces.minimum import require_minimum, seed_counts
from distil_dagster.traces.of_job import traces_of
from distil_dagster.traces.relabel import RelabelledTraces, relabel_traces
from distil_dagster.traces.relevance import FilteredTraces, filter_traces
from distil_dagster.traces.seeds import SeedData, build_seed_data

STUDENT = "Llama-3.2-1B-Instruct"

Until = Literal["traces", "filtered", "relabelled", "seeds", "synthetic", "teacher", "tuned", "reinforced"]
Sections = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class SmallJob:
    """A job's folder with the right answers beside it, the task, and the settings that the folder needs."""

    folder: Path
    task: str
    sections: Sections = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """A request as the journal keeps it: the phase that made it, and its body."""

    phase: str
    body: Mapping[str, Any]

    @property
    def model(self) -> str:
        """The catalogue name of the model that was asked."""
        return self.body["model"].rpartition("/")[2]

    @property
    def schema(self) -> str:
        """The name of the schema that the answer is to have; empty for free text."""
        return self.body.get("response_format", {}).get("json_schema", {}).get("name", "")

    @property
    def messages(self) -> list[dict[str, Any]]:
        return self.body["messages"]

    @property
    def prompt(self) -> str:
        """All messages as one text."""
        return "\n".join(str(message["content"]) for message in self.messages)

    def blocks(self, tag: str) -> list[str]:
        """What stands between `<tag …>` and `</tag>`."""
        return re.findall(rf"<{tag}(?: [^>]*)?>\s*(.*?)\s*</{tag}>", self.prompt, re.DOTALL)


@dataclass
class Outcome:
    """What the phases of one run gave, as far as it went, and what was asked on the way."""

    job: Job
    root: Path
    traces: Traces = field(init=False)
    filtered: FilteredTraces = field(init=False)
    relabelled: RelabelledTraces = field(init=False)
    seeds: SeedData = field(init=False)
    synthetic: SyntheticDataset = field(init=False)
    teacher: TeacherEvaluation = field(init=False)
    tuned: Training = field(init=False)
    reinforced: Training | None = field(init=False)
    requests: list[Asked] = field(default_factory=list)
    most_in_flight: int = 0

    def asked(self, phase: str, schema: str | None = None) -> list[Asked]:
        """The requests of a phase, or those of them that ask for one schema."""
        found = [request for request in self.requests if request.phase == phase]
        return [request for request in found if schema in (None, request.schema)]


@dataclass(frozen=True)
class Runs:
    """Runs of the small jobs by name; a run with equal settings is made once."""

    new_folder: Callable[[str], Path]
    jobs: Mapping[str, SmallJob]
    student: Path
    ignored: str = ""
    made: dict[str, Outcome] = field(default_factory=dict)

    def ignoring(self, parameter: str) -> "Runs":
        """Runs of a pipeline that takes no notice of one parameter, `section.field`."""
        return replace(self, ignored=parameter)

    def __call__(
        self, name: str, until: Until, *, options: Options | None = None, repetition: int = 0, **sections: dict
    ) -> Outcome:
        """The run of a job with these settings in place of the small ones; `repetition` asks for another equal run."""
        noticed = {
            section: {key: value for key, value in settings.items() if f"{section}.{key}" != self.ignored}
            for section, settings in sections.items()
        }
        effective = settings_of(self.jobs[name], self.student, noticed)
        equal = json.dumps([name, until, repr(options), repetition, effective], sort_keys=True)
        if equal not in self.made:
            self.made[equal] = run(self.new_folder("run"), self.jobs[name].folder, effective, until, options)
        return self.made[equal]


def run(root: Path, folder: Path, settings: dict[str, Any], until: Until, options: Options | None = None) -> Outcome:
    """Run the phases up to `until` on a job's folder, in an empty folder `root`."""
    with opened_project(root, folder, settings, options) as project:
        job = open_job(root / "configs" / f"{project.partition}.yaml")
        outcome = Outcome(job, root)
        with open_client(job.config, root) as client:
            for phase in phases_before(until):
                setattr(outcome, phase, _PHASES[phase](outcome, client))
        outcome.requests = journal_of(root)
        outcome.most_in_flight = project.teacher.stats()["most_in_flight"]
    return outcome


def settings_of(small: SmallJob, student: Path, sections: Sections) -> dict[str, dict[str, Any]]:
    """A configuration that runs in a second, then what the job's folder needs, then `sections`."""
    values: dict[str, dict[str, Any]] = {
        "base": {"task": small.task, "random_seed": 7},
        "tuning": {
            "learning_rate": 1e-2,
            "warmup_ratio": 0,
            "bf16": False,
            "lora_r": 8,
            "per_device_train_batch_size": 4,
            "per_device_eval_batch_size": 4,
            "num_train_epochs": 1,
            "rlvr_num_generations": 2,
            "rlvr_per_device_batch_size": 4,
        },
        "trace_processing": {
            "num_traces_as_training_base": 16,
            "num_traces_as_testing_base": 8,
            "min_generated_examples": 1,
        },
        "synthgen": {"generation_target": 12, "generation_iteration_size": 12},
        "data": {"path": str(small.folder), "students": {STUDENT: str(student)}},
    }
    for laid_over in (small.sections, sections):
        for section, settings in laid_over.items():
            values.setdefault(section, {}).update(settings)
    return values


def phases_before(until: Until) -> list[Until]:
    """The phases up to and with `until`; synthesis, teacher evaluation and training each follow on the seeds."""
    common: list[Until] = ["traces", "filtered", "relabelled", "seeds"]
    ways: list[list[Until]] = [["synthetic"], ["teacher"], ["tuned", "reinforced"]]
    (path,) = [common + way for way in ways if until in common + way][:1]
    return path[: path.index(until) + 1]


def journal_of(root: Path) -> list[Asked]:
    """Every request that was answered, in the order of the answers."""
    path = root / "journal.sqlite"
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        rows = connection.execute("SELECT phase, request FROM answers ORDER BY rowid").fetchall()
    finally:
        connection.close()
    return [Asked(phase, json.loads(body)) for phase, body in rows]


def _traces(outcome: Outcome, client: Client) -> Traces:
    return traces_of(outcome.job)


def _filtered(outcome: Outcome, client: Client) -> FilteredTraces:
    job = outcome.job
    return filter_traces(outcome.traces, job.task, job.description, job.config.trace_processing, client)


def _relabelled(outcome: Outcome, client: Client) -> RelabelledTraces:
    job, settings = outcome.job, outcome.job.config.trace_processing
    relabelled = relabel_traces(outcome.filtered, job.task, settings, client, max_total_length=job.max_total_length)
    require_minimum(relabelled, seed_counts(outcome.filtered), settings.min_generated_examples)
    return relabelled


def _seeds(outcome: Outcome, client: Client) -> SeedData:
    job = outcome.job
    return build_seed_data(
        job.folder,
        outcome.traces,
        outcome.relabelled,
        job.task,
        job.config.trace_processing,
        max_total_length=job.max_total_length,
    )


def _synthetic(outcome: Outcome, client: Client) -> SyntheticDataset:
    job, base = outcome.job, outcome.job.config.base
    return generate(
        outcome.seeds,
        job.task,
        job.config.synthgen,
        client,
        teacher=base.teacher_model_name,
        seed=base.random_seed,
    )


def _teacher(outcome: Outcome, client: Client) -> TeacherEvaluation:
    return evaluate_teacher(outcome.job, outcome.seeds, client)


def _tuned(outcome: Outcome, client: Client) -> Training:
    return tuned(outcome.job, outcome.seeds, outcome.root)


def _reinforced(outcome: Outcome, client: Client) -> Training | None:
    return reinforced(outcome.job, outcome.seeds, outcome.tuned.job, outcome.root, outcome.root)


_PHASES: Mapping[Until, Callable[[Outcome, Client], Any]] = {
    "traces": _traces,
    "filtered": _filtered,
    "relabelled": _relabelled,
    "seeds": _seeds,
    "synthetic": _synthetic,
    "teacher": _teacher,
    "tuned": _tuned,
    "reinforced": _reinforced,
}
