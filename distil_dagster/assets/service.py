"""The asset of service: in_service, which student answers in production, and the way back."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from distil_dagster.assets import metadata as show
from distil_dagster.assets.checks import Finding, check
from distil_dagster.assets.delivery import ModelBundle
from distil_dagster.assets.drift import DISTILLED
from distil_dagster.assets.phase import phase
from distil_dagster.assets.training import answered
from distil_dagster.errors import DistilError
from distil_dagster.evaluation.artefacts import EvalReport
from distil_dagster.evaluation.building import original_predictions, score_student
from distil_dagster.evaluation.in_service import (
    Contest,
    Decision,
    InService,
    ServedStudent,
    ServiceEntry,
    decide,
)
from distil_dagster.evaluation.metrics import BINARY_METRICS, metric_title
from distil_dagster.evaluation.served_students import forget_old_students, keep_student, pointer_of, served_student
from distil_dagster.export.bundle import MODEL, PROMPT, bundle_version
from distil_dagster.job import Job
from distil_dagster.llm.client import Client
from distil_dagster.orchestration.lineage import is_distilled
from distil_dagster.orchestration.resources import DistilConfig
from distil_dagster.orchestration.storage import Store
from distil_dagster.traces.identity import example_key
from distil_dagster.traces.ingest import Traces
from distil_dagster.traces.seeds import SeedData
from distil_dagster.training.preparing import Opening, prepare_prediction

GROUP = "delivery"


@check()
def newest_student_serves(pointer: InService, version: str, why: str) -> Finding:
    """The student of the latest run is in service."""
    return Finding(version == pointer.current, why, {"in_service": pointer.current or "none"})


@phase(
    GROUP,
    on="gpu",
    reading=("task",),
    kinds={"huggingface"},
    checks=(newest_student_serves,),
    buys_answers=True,
)
def in_service(
    context: dg.AssetExecutionContext,
    distil: DistilConfig,
    store: Store,
    traces: Traces,
    seed_data: SeedData,
    eval_report: EvalReport,
    model_bundle: ModelBundle,
) -> dg.MaterializeResult[InService]:
    """The student that answers in production: the new one, unless it does worse than the one before or the original."""
    job = distil.job(context.partition_key)
    version, pointer = bundle_version(model_bundle.bundle), pointer_of(store.artefacts, context.partition_key)
    if version == pointer.current:
        _remember(context, store, traces)
        return _result(pointer, version, f"{version} is in service already")
    with store.client(job) as client:
        contest = _Contestants(context, job, store, client, seed_data).contest(model_bundle.bundle, pointer)
    entry = _entry(version, pointer, decide(contest, job.config.base.random_seed or 0), contest.metric, context.run_id)
    if entry.action == "promoted":
        asked = [example_key(turn) for example in seed_data.train for turn in job.task.turns(example)]
        served = ServedStudent(model_bundle.bundle, asked, eval_report.shipped)
        keep_student(store.artefacts, context.partition_key, version, served)
    # As late as can be: a bundle takes minutes to a bucket, and a rollback of that time must hold.
    if pointer_of(store.artefacts, context.partition_key) != pointer:
        raise DistilError("another student was put into service meanwhile: materialize in_service again")
    pointer = pointer.after(entry)
    forget_old_students(store.artefacts, context.partition_key, pointer)
    _remember(context, store, traces)
    context.log.info(f"{version} {entry.action}: {entry.reason}")
    return _result(pointer, version, entry.reason)


def _remember(context: dg.AssetExecutionContext, store: Store, traces: Traces) -> None:
    """Let later traces be compared with these, if it is they that the student learned from."""
    if is_distilled(context.instance, context.partition_key):
        store.artefacts.save(DISTILLED, context.partition_key, traces)


def _result(pointer: InService, version: str, note: str) -> dg.MaterializeResult[InService]:
    return dg.MaterializeResult(
        value=pointer,
        metadata={"note": note, **_shown(pointer)},
        check_results=[newest_student_serves(pointer, version, note)],
    )


@dataclass(frozen=True)
class _Contestants:
    """Lets bundles answer the job's test rows, each as its own `prompt.json` says, and scores them."""

    context: dg.AssetExecutionContext
    job: Job
    store: Store
    client: Client
    seeds: SeedData

    def contest(self, bundle: Path, pointer: InService) -> Contest:
        """The new bundle against the original model and, where there is one, the student in service."""
        metric = self.job.task.primary_metric
        # What the evaluated student wrote is not asked: a check of its own tells where the bundle writes otherwise.
        new = self._scores(bundle, "model_bundle")
        originals = original_predictions(self.job, self.seeds, self.client)
        original = originals[0].scores(metric) if originals else None
        contest = Contest(metric_title(metric), metric in BINARY_METRICS, new, original=original)
        if not pointer.current:
            return contest
        served = served_student(self.store.artefacts, self.context.partition_key, pointer.current)
        asked, rows = set(served.asked), self.job.evaluation_rows(self.seeds.test)
        known = {at for at, row in enumerate(rows) if example_key(row) in asked}
        return replace(contest, served=self._scores(served.bundle, "in_service")).without(known)

    def _scores(self, bundle: Path, asked_before: str) -> list[float | None]:
        """The scores of a bundle; `asked_before` is the asset in whose work folder its answers may be."""
        work = self.store.artefacts.work_folder(asked_before, self.context.partition_key)
        rows = self.job.evaluation_rows(self.seeds.test)
        prediction = prepare_prediction(self.job, rows, bundle / MODEL, None, work, opening=_opening(bundle))
        scored = score_student(self.job, "sft", answered(self.context, prediction), self.seeds, self.client)
        return scored.scores(self.job.task.primary_metric)


def _opening(bundle: Path) -> Opening:
    prompt = json.loads((bundle / PROMPT).read_text(encoding="utf-8"))
    return Opening(prompt["system_prompt"], tuple(prompt["shots"]), tuple(prompt["tools"]))


def _entry(version: str, pointer: InService, decision: Decision, metric: str, run: str) -> ServiceEntry:
    withdrawn = pointer.was_withdrawn(version)
    return ServiceEntry(
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        version=version,
        action="promoted" if decision.promoted and not withdrawn else "refused",
        reason="it was rolled back from; only a rollback puts it into service again" if withdrawn else decision.reason,
        metric=metric,
        score=decision.score,
        before=decision.before,
        original=decision.original,
        rows=decision.rows,
        run=run,
    )


def _shown(pointer: InService) -> show.Metadata:
    latest = pointer.history[-1]
    return {
        "in_service": pointer.current or "none",
        "latest_decision": latest.action,
        "history": show.table([_row(entry) for entry in reversed(pointer.history)], limit=20),
        **({} if latest.score is None else {"score": round(latest.score, 4)}),
    }


def _row(entry: ServiceEntry) -> dict[str, object]:
    return {
        "when": entry.at[:16].replace("T", " "),
        "version": entry.version,
        "decision": entry.action,
        "score": entry.score,
        "before": entry.before,
        "original": entry.original,
        "rows": entry.rows or None,
        "why": entry.reason,
    }
