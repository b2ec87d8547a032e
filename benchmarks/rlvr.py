"""What reinforcement learning adds to a weak student, and that failing judges do not bend it.

A student is trained by SFT on a few rows of a job, then by GRPO on others, with the simulated teacher as
the judge. Printed are the reward and the primary metric on held-out and on test rows. Then the same again against a
provider that fails on a share of the requests: each is asked again, so that the trajectory must be the very same.

    python benchmarks/rlvr.py --sft-rows 100 --rlvr-rows 120
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from undertaking import SMALL_STUDENT_TUNING, Undertaking, show_progress, undertaking

from distil_dagster.data.examples import Example
from distil_dagster.evaluation.statistics import compare
from distil_dagster.simulator.faults import Faults
from distil_dagster.simulator.options import Options
from distil_dagster.training.choosing import choose
from distil_dagster.training.curve import FILE_NAME, CurvePoint
from distil_dagster.training.grpo import GrpoSummary
from distil_dagster.training.preparing import prepare_rlvr
from distil_dagster.training.rows import read_rows
from distil_dagster.training.sft import SUMMARY_FILE

EXAMPLE = Path(__file__).parents[1] / "examples" / "ticket_routing"


def settings(tuning: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Most traces are seeds to learn from, where there is no test set the others test; no synthesis is needed."""
    return {
        "base": {"task": "classification", "student_model_name": "SmolLM2-135M-Instruct", "random_seed": 42},
        "trace_processing": {"num_traces_as_training_base": 450, "num_traces_as_testing_base": 200},
        "tuning": tuning,
    }


def reinforced(
    work: Undertaking, rows: Sequence[Example], held_out: Sequence[Example], adapter: Path
) -> tuple[Path, list[CurvePoint], GrpoSummary]:
    """The adapter after reinforcement learning, its curve and its summary."""
    tuned = (work.weights().folder, adapter)
    training = prepare_rlvr(work.job, rows, held_out, tuned, work.root, work.root / "rlvr")
    work.trained(training)
    summary = GrpoSummary.model_validate_json((training.output / SUMMARY_FILE).read_text(encoding="utf-8"))
    return training.output, read_rows(training.output / FILE_NAME, CurvePoint), summary


def trajectory(curve: Sequence[CurvePoint]) -> list[tuple[int, float | None, float | None, float | None]]:
    """What must be equal where two trainings are: step, loss, reward and held-out metric."""
    return [(point.step, point.loss, point.reward, point.held_out) for point in curve]


def mean(values: Sequence[float]) -> float:
    """The mean."""
    return sum(values) / len(values)


def rewards_by_fifths(curve: Sequence[CurvePoint]) -> list[float]:
    """The mean reward of each fifth of the steps."""
    rewards = [point.reward for point in curve if point.reward is not None]
    size = max(1, len(rewards) // 5)
    return [mean(rewards[start : start + size]) for start in range(0, len(rewards) - size + 1, size)]


def main() -> None:
    """Train, reinforce, reinforce again under faults, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", type=Path, default=EXAMPLE, help="a classification job with known answers")
    parser.add_argument("--sft-rows", type=int, default=100)
    parser.add_argument("--sft-epochs", type=int, default=2)
    parser.add_argument("--rlvr-rows", type=int, default=120)
    parser.add_argument("--held-out-rows", type=int, default=100)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--faults", type=float, default=0.2, help="share of judge requests that fail; 0 leaves it out")
    parser.add_argument("--work", type=Path, help="folder to work in; what stands there already is not done again")
    arguments = parser.parse_args()
    show_progress()
    root = arguments.work or Path(tempfile.mkdtemp())
    learning = SMALL_STUDENT_TUNING | {
        "learning_rate": arguments.learning_rate,
        "rlvr_dataset_size": 0.5,
        "rlvr_num_generations": 6,
        "rlvr_per_device_batch_size": 24,
    }
    weak = SMALL_STUDENT_TUNING | {"num_train_epochs": arguments.sft_epochs}
    with undertaking(arguments.case, settings(weak), root / "sft") as work:
        seeds = work.seeds()
        first, second = arguments.sft_rows, arguments.sft_rows + arguments.rlvr_rows
        rows, held_out = seeds.train[first:second], seeds.train[second : second + arguments.held_out_rows]
        adapter = work.tuned(seeds.train[:first])
        before = work.scores(adapter, seeds.test)
    started = time.monotonic()
    with undertaking(arguments.case, settings(learning), root / "rlvr") as work:
        output, curve, summary = reinforced(work, rows, held_out, adapter)
        seconds = time.monotonic() - started
        after = work.scores(output, seeds.test)
    measured = [point.held_out for point in curve if point.held_out is not None]
    found = compare(after, before, binary=True)
    print(f"steps {summary.steps}, {summary.judgements} judgements, agreement {summary.agreement}, {seconds:.0f} s")
    print("reward by fifths of the steps: " + " ".join(f"{value:.3f}" for value in rewards_by_fifths(curve)))
    print(f"held out ({summary.held_out_rows} rows): " + " ".join(f"{value:.3f}" for value in measured))
    print(f"test ({len(after)} rows): {mean(before):.3f} before, {mean(after):.3f} after, p {found.p_value:.2g}")
    print(f"delivered: {choose(summary.before, summary.after, 'Accuracy')}")
    if not arguments.faults:
        return
    options = Options(faults=Faults(fail=arguments.faults))
    with undertaking(arguments.case, settings(learning), root / "faults", options) as work:
        _, other, under_faults = reinforced(work, rows, held_out, adapter)
        counts = work.teacher.stats()["by_outcome"]
    print(f"under faults: {counts}, {under_faults.failed_judgements} of {under_faults.judgements} judgements failed")
    pairs = list(zip(trajectory(curve), trajectory(other), strict=True))
    same = next((at for at, (one, two) in enumerate(pairs) if one != two), len(pairs))
    print(f"the trajectories are equal in the first {same} of {len(pairs)} points")


if __name__ == "__main__":
    main()
