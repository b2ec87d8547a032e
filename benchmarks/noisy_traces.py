"""What cleaning and synthesis are worth: a student from noisy traces, three ways, on the same test rows.

whole    filter, relabel, generate, train
seeds    filter, relabel, train: no generation
direct   train on the traces as they were logged: no filter, no relabelling, no generation

A simulated teacher that makes no mistakes stands for all models but the student; training and the student's answers are
real. Each way sees the same traces and none of the folder's own training rows. McNemar's exact test compares them.

    python benchmarks/noisy_traces.py --case FOLDER
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from undertaking import SMALL_STUDENT_TUNING, Undertaking, show_progress, undertaking

from distil_dagster.evaluation.statistics import compare, estimate

AS_LOGGED = {"relabel": False, "relevance_filtering": False}


@dataclass(frozen=True)
class Way:
    """One way to a student: settings of trace processing, and whether the teacher writes examples."""

    name: str
    traces: dict[str, Any]
    generates: bool = False


WAYS = (Way("whole", {}, generates=True), Way("seeds", {}), Way("direct", AS_LOGGED))


@dataclass(frozen=True)
class Outcome:
    """What became of a way: the rows trained on, and the score of each test row."""

    seeds: int
    generated: int
    scores: list[float]
    seconds: float


def go(way: Way, case: Path, root: Path, student: str, task: str, target: int, epochs: int) -> Outcome:
    """Take one way from the traces to the scores of the test rows."""
    started = time.monotonic()
    sections = {
        "base": {"task": task, "student_model_name": student, "random_seed": 42},
        "trace_processing": {"num_traces_as_training_base": 10_000, "num_traces_as_testing_base": 0, **way.traces},
        "synthgen": {"generation_target": target},
        "tuning": SMALL_STUDENT_TUNING | {"num_train_epochs": epochs},
    }
    with undertaking(case, sections, root / way.name) as work:
        seeds = work.seeds()
        generated = _generated(work, seeds) if way.generates else []
        scores = work.scores(work.tuned([*seeds.train, *generated]), seeds.test)
        return Outcome(len(seeds.train), len(generated), scores, time.monotonic() - started)


def _generated(work: Undertaking, seeds: Any) -> list[Any]:
    dataset = work.synthetic(seeds)
    if dataset.stopped:
        print(f"generation: {dataset.stopped}", file=sys.stderr)
    return [row.as_example() for row in dataset.accepted]


def main() -> None:
    """Go all ways and print how they compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", type=Path, required=True, help="a folder with traces.jsonl, gold.jsonl, test.jsonl")
    parser.add_argument("--task", default="classification")
    parser.add_argument("--student", default="SmolLM2-135M-Instruct")
    parser.add_argument("--target", type=int, default=400, help="examples to generate")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--work", type=Path, help="folder to work in; what stands there already is not done again")
    arguments = parser.parse_args()
    show_progress()
    root = arguments.work or Path(tempfile.mkdtemp())
    case = root / "case"
    if not case.is_dir():
        shutil.copytree(arguments.case, case, ignore=shutil.ignore_patterns("train.*"))
    print("| way | seeds | generated | score | 95% interval | seconds |\n|---|---|---|---|---|---|")
    outcomes = {}
    for way in WAYS:
        outcome = go(way, case, root, arguments.student, arguments.task, arguments.target, arguments.epochs)
        outcomes[way.name] = outcome
        figure = estimate(outcome.scores, binary=True)
        print(
            f"| {way.name} | {outcome.seeds} | {outcome.generated} | {figure.mean:.3f} "
            f"| {figure.interval.low:.3f}–{figure.interval.high:.3f} | {outcome.seconds:.0f} |",
            flush=True,
        )
    print("\n| | difference | 95% interval | better | worse | p |\n|---|---|---|---|---|---|")
    for one, other in (("whole", "direct"), ("whole", "seeds"), ("seeds", "direct")):
        found = compare(outcomes[one].scores, outcomes[other].scores, binary=True)
        interval = f"{found.interval.low:+.3f} to {found.interval.high:+.3f}"
        rest = f"{found.better} | {found.worse} | {found.p_value:.2g}"
        print(f"| {one} against {other} | {found.difference:+.3f} | {interval} | {rest} |")


if __name__ == "__main__":
    main()
