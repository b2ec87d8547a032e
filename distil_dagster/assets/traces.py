"""Assets of trace processing: traces, filtered_traces, relabelled_traces."""

import dagster as dg

from distil_dagster.assets import metadata as show
from distil_dagster.assets.checks import Finding, check
from distil_dagster.assets.phase import phase
from distil_dagster.errors import DataError
from distil_dagster.orchestration.resources import DistilConfig
from distil_dagster.orchestration.storage import Store
from distil_dagster.traces import relabel, relevance
from distil_dagster.traces.ingest import Traces
from distil_dagster.traces.minimum import require_minimum, seed_counts
from distil_dagster.traces.of_job import traces_of
from distil_dagster.traces.relabel import RelabelledTraces, relabel_traces
from distil_dagster.traces.relevance import FilteredTraces, filter_traces

GROUP = "traces"


@phase(GROUP, on="cpu", reading=("task", "trace_processing", "data_files"), kinds={"jsonl"})
def traces(context: dg.AssetExecutionContext, distil: DistilConfig) -> dg.MaterializeResult[Traces]:
    """Logged conversations without repetitions, each drawn as a training seed, a test seed or unlabelled text."""
    job = distil.job(context.partition_key)
    found = traces_of(job)
    return dg.MaterializeResult(
        value=found,
        metadata={
            "dagster/row_count": len(found.rows),
            "lines": found.lines,
            "train_seeds": len(found.part("train")),
            "test_seeds": len(found.part("test")),
            "unstructured": len(found.part("unstructured")),
            "set_aside": len(found.set_aside),
            "set_aside_by_reason": show.reasons(found.set_aside),
            "note": found.note or "every line of the file is in one part or set aside",
            **show.settings(job, "base", "trace_processing"),
        },
    )


@phase(GROUP, on="cpu", reading=("task", "trace_processing"), kinds={"llm"}, buys_answers=True)
def filtered_traces(
    context: dg.AssetExecutionContext, distil: DistilConfig, store: Store, traces: Traces
) -> dg.MaterializeResult[FilteredTraces]:
    """Seed traces scored by the trace teacher for relevance and coherence; the low ones dropped with the reason."""
    job = distil.job(context.partition_key)
    with store.client(job) as client:
        filtered = filter_traces(traces, job.task, job.description, job.config.trace_processing, client)
        bought = show.spend(client, relevance.PHASE)
    dropped = [row for row in filtered.rows if not row.kept]
    return dg.MaterializeResult(
        value=filtered,
        metadata={
            "dagster/row_count": len(filtered.rows) - len(dropped),
            "scored": len(filtered.rows),
            "dropped": len(dropped),
            "dropped_traces": show.table(
                {
                    "line": row.line,
                    "reason": row.reason,
                    "relevance": row.relevance,
                    "coherence": row.coherence,
                    "text": " / ".join(message.answer for message in row.messages),
                    "explanation": row.explanation,
                }
                for row in dropped
            ),
            **show.note(filtered.note),
            **bought,
            **show.settings(job, "trace_processing"),
        },
    )


@check(blocking=True)
def min_generated_examples(filtered: FilteredTraces, relabelled: RelabelledTraces, minimum: int) -> Finding:
    """Trace processing made at least `min_generated_examples` for each part that it was to make."""
    try:
        require_minimum(relabelled, seed_counts(filtered), minimum)
    except DataError as error:
        return Finding(False, str(error), {"minimum": minimum})
    counts = {"train": relabelled.count("train"), "test": relabelled.count("test")}
    return Finding(True, figures={"minimum": minimum, **counts})


@phase(
    GROUP,
    on="cpu",
    reading=("task", "trace_processing"),
    kinds={"llm"},
    checks=(min_generated_examples,),
    buys_answers=True,
)
def relabelled_traces(
    context: dg.AssetExecutionContext, distil: DistilConfig, store: Store, filtered_traces: FilteredTraces
) -> dg.MaterializeResult[RelabelledTraces]:
    """Examples with the committee's votes, the trace teacher's decision, and the answer that was logged."""
    job = distil.job(context.partition_key)
    trace_settings = job.config.trace_processing
    with store.client(job) as client:
        relabelled = relabel_traces(
            filtered_traces, job.task, trace_settings, client, max_total_length=job.max_total_length
        )
        bought = show.spend(client, relabel.PHASE)
    changed = [row for row in relabelled.rows if row.answer != row.logged_answer]
    return dg.MaterializeResult(
        value=relabelled,
        metadata={
            "dagster/row_count": len(relabelled.rows),
            "changed": len(changed),
            "decided_by_aggregator": sum(row.decided_by == "aggregator" for row in relabelled.rows),
            "dropped": len(relabelled.dropped),
            "dropped_by_reason": show.reasons(relabelled.dropped),
            "seed_counts": dg.MetadataValue.json(seed_counts(filtered_traces)),
            "changed_examples": show.table(
                {
                    "line": row.line,
                    "question": row.as_example().question,
                    "logged": row.logged_answer,
                    "now": row.answer,
                    "decided by": row.decided_by,
                    "votes": ", ".join(vote.answer or vote.problem for vote in row.votes),
                }
                for row in changed
            ),
            **show.note(relabelled.note),
            **bought,
            **show.settings(job, "trace_processing"),
        },
        check_results=[min_generated_examples(filtered_traces, relabelled, trace_settings.min_generated_examples)],
    )
