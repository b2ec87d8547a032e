"""Assets of data: seed_data and synthetic_dataset."""

from collections import Counter

import dagster as dg

from distil_dagster.assets import metadata as show
from distil_dagster.assets.checks import Finding, check
from distil_dagster.assets.phase import phase
from distil_dagster.orchestration.resources import DistilConfig
from distil_dagster.orchestration.storage import Store
from distil_dagster.synthesis import loop
from distil_dagster.synthesis.loop import generate
from distil_dagster.synthesis.rows import SyntheticDataset
from distil_dagster.tasks.base import Task
from distil_dagster.traces.identity import example_key
from distil_dagster.traces.ingest import Traces
from distil_dagster.traces.relabel import RelabelledTraces
from distil_dagster.traces.seeds import SeedData, build_seed_data

GROUP = "data"


@check(blocking=True)
def train_and_test_are_apart(seeds: SeedData) -> Finding:
    """No question of the test set stands in the training seeds."""
    tested = {example_key(example) for example in seeds.test}
    shared = [example.source for example in seeds.train if example_key(example) in tested]
    return Finding(not shared, figures={"shared_rows": ", ".join(shared) or "none"})


@check()
def class_coverage(task: Task, seeds: SeedData) -> Finding:
    """Every class (or tool) of the job description occurs in the training seeds and in the test set."""
    missing = {
        part: ", ".join(label for label in task.labels if not counts[label])
        for part, counts in (
            ("train", Counter(label for example in seeds.train for label in task.labels_in(example))),
            ("test", Counter(label for example in seeds.test for label in task.labels_in(example))),
        )
    }
    figures = {f"missing_in_{part}": labels or "none" for part, labels in missing.items()}
    return Finding(not any(missing.values()), figures=figures)


@check()
def target_reached(dataset: SyntheticDataset) -> Finding:
    """Generation reached its target."""
    figures = {"accepted": len(dataset.accepted), "target": dataset.target}
    return Finding(not dataset.stopped, dataset.stopped, figures)


@phase(
    GROUP,
    on="cpu",
    reading=("task", "trace_processing", "data_files"),
    kinds={"parquet"},
    checks=(train_and_test_are_apart, class_coverage),
)
def seed_data(
    context: dg.AssetExecutionContext, distil: DistilConfig, traces: Traces, relabelled_traces: RelabelledTraces
) -> dg.MaterializeResult[SeedData]:
    """Labelled train and test examples and unlabelled texts, from traces, from the folder's own files, or from both."""
    job = distil.job(context.partition_key)
    seeds = build_seed_data(
        job.folder,
        traces,
        relabelled_traces,
        job.task,
        job.config.trace_processing,
        max_total_length=job.max_total_length,
    )
    return dg.MaterializeResult(
        value=seeds,
        metadata={
            "dagster/row_count": len(seeds.train) + len(seeds.test),
            "train": len(seeds.train),
            "test": len(seeds.test),
            "unstructured": len(seeds.unstructured),
            "set_aside": len(seeds.set_aside),
            "set_aside_by_reason": show.reasons(seeds.set_aside),
            "train_by_class": show.labels(job.task, seeds.train),
            "test_by_class": show.labels(job.task, seeds.test),
            "train_rows": show.samples(seeds.train),
            "seed_warnings": dg.MetadataValue.md("\n".join(f"- {warning}" for warning in seeds.warnings) or "none"),
            **show.settings(job, "base"),
        },
        check_results=[train_and_test_are_apart(seeds), class_coverage(job.task, seeds)],
    )


@phase(
    GROUP,
    on="cpu",
    reading=("task", "teacher", "synthgen"),
    kinds={"llm"},
    checks=(target_reached,),
    buys_answers=True,
)
def synthetic_dataset(
    context: dg.AssetExecutionContext, distil: DistilConfig, store: Store, seed_data: SeedData
) -> dg.MaterializeResult[SyntheticDataset]:
    """Examples that the teacher wrote and the validation accepted, and those rejected, each with its provenance."""
    job = distil.job(context.partition_key)
    base = job.config.base
    with store.client(job) as client:
        dataset = generate(
            seed_data,
            job.task,
            job.config.synthgen,
            client,
            teacher=base.teacher_model_name,
            seed=base.random_seed,
        )
        bought = show.spend(client, loop.PHASE)
    examples = [row.as_example() for row in dataset.accepted]
    return dg.MaterializeResult(
        value=dataset,
        metadata={
            "dagster/row_count": len(dataset.accepted),
            "target": dataset.target,
            "iterations": dataset.iterations,
            "rejected": len(dataset.rejected),
            "rejected_by_reason": show.table(
                [{"reason": reason, "rows": count} for reason, count in dataset.rejections().items()]
            ),
            "rows_by_class": show.labels(job.task, examples),
            "rows": show.samples(examples),
            "stopped": dataset.stopped or "the target was reached",
            **bought,
            **show.settings(job, "base", "synthgen"),
        },
        check_results=[target_reached(dataset)],
    )
