import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
import yaml

from distil_dagster.data.store import ArtefactStore
from distil_dagster.simulator.options import Options
from distil_dagster.simulator.server import SimulatedTeacher

CLASSES = {"bills": "About invoices and money.", "parcels": "About deliveries.", "garden": "About plants and tools."}
THINGS = {
    "bills": ["invoice", "refund", "payment", "charge", "receipt"],
    "parcels": ["parcel", "courier", "delivery", "tracking", "package"],
    "garden": ["roses", "hedge", "lawn", "spade", "compost"],
}
FRAMES = [
    "Could you look into the {thing} from {day}, number {number}?",
    "On {day} something went wrong with my {thing}; it is case {number}.",
    "Hello, I am writing about {number} and the {thing} that we spoke of on {day}.",
    "{day} was the day, {thing} was the matter, {number} the reference.",
    "Why has nobody answered me about my {thing} since {day}? Ticket {number}.",
]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]


def questions(count: int) -> list[tuple[str, str]]:
    """Texts and their classes; no two are alike."""
    rows = []
    for number in range(count):
        label = list(CLASSES)[number % 3]
        thing = THINGS[label][number // 3 % 5]
        text = FRAMES[number % 5].format(thing=thing, day=DAYS[number // 5 % 6], number=1000 + number * 7)
        rows.append((text, label))
    return rows


def write_lines(path: Path, rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture(scope="session")
def case(tmp_path_factory) -> Path:
    """A job's folder with noisy traces and the right answers beside them, as the simulator reads it."""
    folder = tmp_path_factory.mktemp("cases") / "letters"
    folder.mkdir()
    job = {"task_description": "Send each letter to the right desk.", "classes_description": CLASSES}
    (folder / "job_description.json").write_text(json.dumps(job), encoding="utf-8")
    traces, gold = [], []
    for line, (text, label) in enumerate(questions(90), start=1):
        noise = {0: "wrong_label", 1: "irrelevant"}.get(line % 10, "clean")
        question = f"What is the capital of country {line}?" if noise == "irrelevant" else text
        observed = "garden" if noise != "clean" and label != "garden" else label
        noise = "clean" if noise == "wrong_label" and observed == label else noise
        turns = [("system", "You sort letters."), ("user", question), ("assistant", observed)]
        traces.append({"messages": [{"role": role, "content": content} for role, content in turns]})
        answer = None if noise == "irrelevant" else label
        gold.append(
            {"line": line, "noise": noise, "sub": None, "question": question, "answer": answer, "observed": observed}
        )
    write_lines(folder / "traces.jsonl", traces)
    write_lines(folder / "gold.jsonl", gold)
    return folder


def settings(case: Path, student: Path) -> dict:
    """A configuration that runs in seconds."""
    return {
        "base": {"task": "classification", "student_model_name": "SmolLM2-135M-Instruct", "random_seed": 7},
        "trace_processing": {
            "num_traces_as_training_base": 24,
            "num_traces_as_testing_base": 30,
            "min_generated_examples": 5,
            "relabelling_committee_models": ["openai.gpt-oss-20b", "deepseek.v3.1"],
        },
        "synthgen": {"generation_target": 18, "generation_iteration_size": 12},
        "tuning": {
            "learning_rate": 1e-2,
            "bf16": False,
            "lora_r": 8,
            "num_train_epochs": 1,
            "per_device_train_batch_size": 8,
        },
        "data": {"path": str(case), "students": {"SmolLM2-135M-Instruct": str(student)}},
    }


@dataclass(frozen=True)
class Project:
    """A folder with configurations and artefacts; `partition` is a name that the checkout's own configs/ has too.

    Partitions are read when the definitions are imported, configurations when an asset runs.
    """

    root: Path
    teacher: SimulatedTeacher
    partition: str = "quickstart"

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

    def run(self, job: str = "distil", typed: dict | None = None, assets: list[str] | None = None, instance=None):
        from distil_dagster.definitions import defs
        from distil_dagster.orchestration.resources import Store
        from distil_dagster.orchestration.storage import ArtefactIOManager

        store = Store(root=str(self.root / "artefacts"))
        resources = {**defs.resources, "store": store, "io_manager": ArtefactIOManager(store=store)}
        run_config = {"resources": {"distil": {"config": typed}}} if typed else None
        return (
            dg.Definitions(assets=defs.assets, asset_checks=defs.asset_checks, jobs=defs.jobs, resources=resources)
            .resolve_job_def(job)
            .execute_in_process(
                run_config=run_config,
                instance=instance,
                partition_key=self.partition if job == "distil" else None,
                asset_selection=[dg.AssetKey(name) for name in assets] if assets else None,
                raise_on_error=False,
            )
        )


@contextmanager
def opened_project(root: Path, case: Path, student: Path, options: Options | None = None):
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
        project.write(settings(case, student))
        yield project


@pytest.fixture
def project(tmp_path, case, tiny_student):
    with opened_project(tmp_path, case, tiny_student) as project:
        yield project


@pytest.fixture(scope="session")
def finished(tmp_path_factory, case, tiny_student):
    """A project after one run of everything, and the run's result."""
    with (
        opened_project(tmp_path_factory.mktemp("finished"), case, tiny_student) as project,
        dg.instance_for_test() as instance,
    ):
        result = project.run(instance=instance)
        yield project, result, instance
