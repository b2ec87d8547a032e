"""The asset of delivery: model_bundle, the folder that a user takes away."""

from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from distil_dagster.assets import metadata as show
from distil_dagster.assets.checks import partitioned_check
from distil_dagster.assets.training import Adapter, model_and_adapter, predict
from distil_dagster.config.catalogue import students
from distil_dagster.evaluation.artefacts import EvalReport
from distil_dagster.export.bundle import MODEL, Serving, write_bundle
from distil_dagster.export.model_card import CardFacts
from distil_dagster.export.parity import compare_answers
from distil_dagster.job import Job
from distil_dagster.orchestration.executors import GPU_POOL, ON_GPU
from distil_dagster.orchestration.partitions import configs
from distil_dagster.orchestration.resources import DistilConfig, Store
from distil_dagster.orchestration.worker import run_worker
from distil_dagster.traces.seeds import SeedData
from distil_dagster.training.job import MergeJob
from distil_dagster.training.preparing import answer_tokens

GROUP = "delivery"


@dataclass(frozen=True)
class ModelBundle:
    """The folder to take away, and whether the model in it answers the test rows as the evaluated student did."""

    bundle: Path
    same_answers: bool
    parity: str


@dg.asset(partitions_def=configs, group_name=GROUP, kinds={"huggingface", "ollama"}, op_tags=ON_GPU, pool=GPU_POOL)
def model_bundle(
    context: dg.AssetExecutionContext,
    distil: DistilConfig,
    store: Store,
    seed_data: SeedData,
    rlvr_adapter: Adapter,
    eval_report: EvalReport,
) -> dg.MaterializeResult[ModelBundle]:
    """Merged weights, adapter, Modelfile, client script and model card in one folder."""
    job = distil.job(context.partition_key)
    work = store.artefacts.work_folder("model_bundle", context.partition_key)
    merged = work / "merged"
    model, adapter = model_and_adapter(rlvr_adapter)
    run_worker(context, MergeJob(model=model, adapter=adapter, output=merged), work)
    bundle = write_bundle(
        work / "bundle",
        merged,
        adapter,
        Serving(job.name, job.task.system_prompt(), max_new_tokens=answer_tokens(seed_data.test)),
        _card(job, eval_report),
    )
    # The evaluated answers are read from where the report's asset left them; only the delivered model is asked.
    asked_before = store.artefacts.work_folder("eval_report", context.partition_key)
    evaluated = predict(context, job, model, adapter, asked_before, seed_data.test)
    parity = compare_answers(evaluated, predict(context, job, bundle / MODEL, None, work, seed_data.test))
    return dg.MaterializeResult(
        value=ModelBundle(bundle, parity.same, str(parity)),
        metadata={
            "stage": rlvr_adapter.stage,
            "parity": str(parity),
            "files": show.files(bundle),
        },
    )


@partitioned_check(asset=model_bundle)
def bundle_answers_as_evaluated(model_bundle: ModelBundle) -> dg.AssetCheckResult:
    """The delivered model writes, to every test row, what the evaluated student wrote."""
    return dg.AssetCheckResult(
        passed=model_bundle.same_answers, severity=dg.AssetCheckSeverity.WARN, description=model_bundle.parity
    )


def _card(job: Job, report: EvalReport) -> CardFacts:
    student = students()[job.config.base.student_model_name]
    lines = [f"| model | {' | '.join(report.metrics)} |", f"|---|{'---|' * len(report.metrics)}"]
    for row in report.summary:
        scores = (row.means.get(metric) for metric in report.metrics)
        lines.append(f"| {row.title} | {' | '.join('–' if score is None else f'{score:.3f}' for score in scores)} |")
    return CardFacts(
        student=student.name,
        hub_id=student.hub_id,
        licence=student.licence,
        teacher=job.config.base.teacher_model_name,
        task=job.task.name,
        task_description=job.description.task_description,
        figures="\n".join([*lines, "", f"{report.rows} test rows. {report.sentence}"]),
        notice=" ".join(report.notices),
    )
