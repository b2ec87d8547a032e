"""The asset of delivery: model_bundle, the folder that a user takes away."""

from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from distil_dagster.assets import metadata as show
from distil_dagster.assets.checks import Finding, check
from distil_dagster.assets.phase import phase
from distil_dagster.assets.training import Adapter, delivered, model_and_adapter, predict
from distil_dagster.config.catalogue import students
from distil_dagster.evaluation.artefacts import EvalReport
from distil_dagster.evaluation.metrics import metric_title
from distil_dagster.export.bundle import MODEL, Serving, write_bundle
from distil_dagster.export.model_card import CardFacts
from distil_dagster.export.parity import compare_answers
from distil_dagster.job import Job
from distil_dagster.orchestration.resources import DistilConfig
from distil_dagster.orchestration.storage import Store
from distil_dagster.orchestration.worker import run_worker
from distil_dagster.tasks.shots import student_turns
from distil_dagster.traces.seeds import SeedData
from distil_dagster.training.job import MergeJob
from distil_dagster.training.preparing import answer_tokens, student_shots

GROUP = "delivery"


@dataclass(frozen=True)
class ModelBundle:
    """The folder to take away, and whether the model in it answers the test rows as the evaluated student did."""

    bundle: Path
    same_answers: bool
    parity: str


@check()
def bundle_answers_as_evaluated(bundle: ModelBundle) -> Finding:
    """The delivered model writes, to every test row, what the evaluated student wrote."""
    return Finding(bundle.same_answers, bundle.parity)


@phase(
    GROUP,
    on="gpu",
    reading=("task",),
    kinds={"huggingface", "ollama"},
    checks=(bundle_answers_as_evaluated,),
)
def model_bundle(
    context: dg.AssetExecutionContext,
    distil: DistilConfig,
    store: Store,
    seed_data: SeedData,
    sft_adapter: Adapter,
    rlvr_adapter: Adapter,
    eval_report: EvalReport,
) -> dg.MaterializeResult[ModelBundle]:
    """Merged weights, adapter, Modelfile, client script and model card in one folder."""
    job = distil.job(context.partition_key)
    work = store.artefacts.work_folder("model_bundle", context.partition_key)
    merged = work / "merged"
    tuned = delivered(sft_adapter, rlvr_adapter)
    model, adapter = model_and_adapter(job, tuned)
    run_worker(context, MergeJob(model=model, adapter=adapter, output=merged), work)
    bundle = write_bundle(work / "bundle", merged, adapter, _serving(job, seed_data), _card(job, eval_report))
    # The evaluated answers are read from where the report's asset left them; only the delivered model is asked.
    asked_before = store.artefacts.work_folder("eval_report", context.partition_key)
    evaluated = predict(context, job, model, adapter, asked_before, seed_data)
    parity = compare_answers(evaluated, predict(context, job, bundle / MODEL, None, work, seed_data))
    delivered_bundle = ModelBundle(bundle, parity.same, str(parity))
    return dg.MaterializeResult(
        value=delivered_bundle,
        metadata={
            "stage": tuned.stage,
            "why": rlvr_adapter.note,
            "parity": str(parity),
            "files": show.files(bundle),
        },
        check_results=[bundle_answers_as_evaluated(delivered_bundle)],
    )


def _serving(job: Job, seeds: SeedData) -> Serving:
    task = job.task
    return Serving(
        name=job.name,
        system_prompt=task.system_prompt(),
        question_with_context=task.question_with_context,
        tools=task.tools,
        shots=tuple(student_turns(task, student_shots(job, seeds.train))),
        max_new_tokens=answer_tokens(seeds.test),
    )


def _card(job: Job, report: EvalReport) -> CardFacts:
    student = students()[job.config.base.student_model_name]
    lines = [f"| model | {' | '.join(report.metrics)} |", f"|---|{'---|' * len(report.metrics)}"]
    for row in report.summary:
        scores = (row.means.get(metric) for metric in report.metrics)
        lines.append(f"| {row.title} | {' | '.join('–' if score is None else f'{score:.3f}' for score in scores)} |")
    rows = f"{report.rows} test rows"
    if report.rows != report.conversations:
        rows += f", made of {report.conversations} conversations"
    return CardFacts(
        student=student.name,
        hub_id=student.hub_id,
        licence=student.licence,
        teacher=job.config.base.teacher_model_name,
        task=job.task.name,
        task_description=job.description.task_description,
        figures="\n".join([*lines, "", f"{rows}. {report.sentence}"]),
        primary_metric=metric_title(report.primary_metric),
        primary_metric_reason=job.task.primary_metric_reason,
        tool_parser=student.tool_format if job.task.tools else None,
        notice=" ".join(report.notices),
    )
