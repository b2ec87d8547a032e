"""Every asset on every real data set: a perfect simulated teacher, and the smallest student that can be trained."""

from pathlib import Path

import dagster as dg
import pytest
import yaml
from cases.figures import CASES
from projects import Project, opened_project

from distil_dagster.evaluation.artefacts import EvalReport
from distil_dagster.job import open_job
from distil_dagster.synthesis.rows import SyntheticDataset
from distil_dagster.traces.relabel import RelabelledTraces
from distil_dagster.traces.seeds import SeedData

pytestmark = [
    pytest.mark.cases,
    pytest.mark.skipif(not CASES.is_dir(), reason="the data sets are not beside the checkout"),
]

TARGET = 16
TRAIN_ROWS = 6
TRAIN_SEEDS = 12
# Students that were never trained write to the end of what they may: most of the time goes into their answers.
TEST_ROWS = {"sgd_restaurants_multiturn": 4, "distil_voice_banking": 50}
OTHER_TEST_ROWS = 20
TUNING = {
    "learning_rate": 1e-3,
    "bf16": False,
    "lora_r": 4,
    "num_train_epochs": 1,
    "per_device_train_batch_size": 8,
    "per_device_eval_batch_size": 8,
}
NAMES = (
    "squad_rag_qa",
    "squad_open_book",
    "squad_closed_book",
    "bfcl_tools",
    "sgd_restaurants_multiturn",
    "langfuse_clinc_banking",
    "distil_voice_banking",
)


def shortened(name: str, folder: Path) -> Path:
    """A copy of the case with fewer labelled rows; the simulated teacher knows all of it."""
    folder.mkdir()
    most = {"train.jsonl": TRAIN_ROWS, "test.jsonl": TEST_ROWS.get(name, OTHER_TEST_ROWS)}
    for path in (CASES / name).glob("*.json*"):
        lines = path.read_bytes().split(b"\n")
        (folder / path.name).write_bytes(b"\n".join(lines[: most.get(path.name, len(lines))]))
    return folder


def small(name: str, folder: Path, student: Path) -> dict:
    """The case's own configuration, made small."""
    values = yaml.safe_load((CASES / name / "config.yaml").read_text("utf-8"))
    values["tuning"] = TUNING
    values["data"] = {"path": str(folder), "students": {values["base"]["student_model_name"]: str(student)}}
    synthgen = values.setdefault("synthgen", {})
    synthgen |= {"generation_target": TARGET, "generation_iteration_size": TARGET}
    if "generation_per_unstructured_context" in synthgen:
        synthgen["generation_per_unstructured_context"] = 1
    values.setdefault("trace_processing", {})
    values["trace_processing"] |= {"num_traces_as_training_base": TRAIN_SEEDS, "min_generated_examples": 5}
    return values


@pytest.fixture(scope="module")
def student(tmp_path_factory, write_student) -> Path:
    """A tiny student with room for the longest conversation."""
    words = [path.read_text("utf-8")[:20_000] for path in sorted(CASES.glob("*/train.jsonl"))]
    return write_student(tmp_path_factory.mktemp("student"), words, 32_768, 4_000)


@pytest.fixture(params=NAMES)
def finished(request, tmp_path, student, workers):
    """A project after one run of everything on a case."""
    config = small(request.param, shortened(request.param, tmp_path / "job"), student)
    with (
        opened_project(tmp_path, CASES / request.param, config) as project,
        dg.instance_for_test() as instance,
        workers.in_force(),
    ):
        yield request.param, project, project.run(instance=instance)


def load(project: Project, asset: str, kind: type):
    return project.store.load(asset, project.partition, kind)


def test_a_run_of_everything_ends_in_a_report_and_a_model(finished, capsys):
    name, project, result = finished
    failed = [event.step_key for event in result.all_events if event.is_step_failure]
    assert result.success, failed
    job = open_job(project.root / "configs" / f"{project.partition}.yaml")
    seeds, synthetic = load(project, "seed_data", SeedData), load(project, "synthetic_dataset", SyntheticDataset)
    report = load(project, "eval_report", EvalReport)
    rows = job.evaluation_rows(seeds.test)
    assert report.rows == len(rows)
    assert report.mean("teacher") == 1.0
    assert len(synthetic.accepted) >= 0.9 * synthetic.target
    assert {row.label for row in synthetic.accepted} - {None} == set(job.task.labels[:TARGET])
    if name == "distil_voice_banking":
        assert (len(seeds.test), len(rows)) == (50, 197)
    relabelled = load(project, "relabelled_traces", RelabelledTraces)
    with capsys.disabled():
        print(
            f"\n| {name} | {len(relabelled.rows)} relabelled | {len(seeds.train)} train | {len(seeds.test)} test "
            f"| {report.rows} evaluated | {len(synthetic.accepted)} of {synthetic.target} accepted "
            f"| rejected {synthetic.rejections()} | {report.primary_metric} teacher {report.mean('teacher')} "
            f"base {report.mean('base')} tuned {report.tuned} |"
        )
