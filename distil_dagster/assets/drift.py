"""The asset of drift: trace_drift, whether the traces that came since are worth a new student."""

import dagster as dg

from distil_dagster.assets import metadata as show
from distil_dagster.assets.phase import phase
from distil_dagster.data.store import ArtefactStore
from distil_dagster.orchestration.new_traces import WORTH_KEY
from distil_dagster.orchestration.resources import DistilConfig
from distil_dagster.orchestration.storage import Store
from distil_dagster.traces.drift import Drift, DriftTest, Worth, drift_between, worth_it
from distil_dagster.traces.ingest import Traces, empty_traces
from distil_dagster.traces.of_job import traces_of

GROUP = "traces"
DISTILLED = "distilled_traces"


@phase(GROUP, on="cpu", reading=("task", "trace_processing", "data_files"), kinds={"scikitlearn"})
def trace_drift(context: dg.AssetExecutionContext, distil: DistilConfig, store: Store) -> dg.MaterializeResult[Drift]:
    """Whether the traces that came since the last distillation are worth another: they differ from those before."""
    job = distil.job(context.partition_key)
    before = _distilled(store.artefacts, context.partition_key)
    settings = job.config.data
    drift = drift_between(
        before,
        traces_of(job),
        job.task,
        settings,
        seed=job.config.base.random_seed,
        single_turn=job.config.trace_processing.convert_to_single_turn,
    )
    worth = worth_it(drift, settings) if before.lines else Worth(True, "Nothing was distilled from traces yet.")
    context.log.info(f"{'worth' if worth.worth else 'not worth'} a distillation: {worth.reason}")
    return dg.MaterializeResult(
        value=drift,
        metadata={
            WORTH_KEY: worth.worth,
            "why": worth.reason,
            "new_traces": drift.new,
            "traces_before": drift.old,
            "tests": show.table(map(_row, drift.tests)),
            "mix_and_length": show.drift_picture(drift),
            **show.settings(job, "data"),
        },
    )


def _distilled(store: ArtefactStore, partition: str) -> Traces:
    """The traces of the last distillation that came to its end, as its last step left them."""
    try:
        return store.load(DISTILLED, partition, Traces)
    except FileNotFoundError:
        return empty_traces("nothing was distilled yet")


def _row(test: DriftTest) -> dict[str, object]:
    return {
        "test": test.name,
        "verdict": test.verdict,
        "effect": test.effect,
        "at least": test.smallest_effect,
        "p (Holm)": test.corrected_p,
        "what": test.sentence,
    }
