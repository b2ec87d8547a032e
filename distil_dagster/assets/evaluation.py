"""Assets of evaluation: teacher_evaluation, eval_report, leaderboard."""

from pathlib import Path

import dagster as dg

from distil_dagster.assets import metadata as show
from distil_dagster.assets.checks import Finding, check
from distil_dagster.assets.phase import owners, phase
from distil_dagster.assets.training import Adapter, base_model, delivered, model_and_adapter, predict
from distil_dagster.evaluation import teacher as teacher_phase
from distil_dagster.evaluation.artefacts import EvalReport, TeacherEvaluation
from distil_dagster.evaluation.building import (
    Facts,
    evaluate_teacher,
    original_predictions,
    score_student,
    write_evaluation,
)
from distil_dagster.evaluation.judging import PHASE as JUDGING
from distil_dagster.evaluation.predictions import ModelRole
from distil_dagster.orchestration.executors import ON_CPU
from distil_dagster.orchestration.resources import DistilConfig
from distil_dagster.orchestration.storage import Store
from distil_dagster.synthesis.rows import SyntheticDataset
from distil_dagster.traces.ingest import Traces
from distil_dagster.traces.relabel import RelabelledTraces
from distil_dagster.traces.relevance import FilteredTraces
from distil_dagster.traces.seeds import SeedData

GROUP = "evaluation"


@check()
def teacher_verdict(teacher: TeacherEvaluation) -> Finding:
    """The teacher is good enough to teach (PROCEED)."""
    figures = {"verdict": teacher.verdict, "score": teacher.score}
    return Finding(teacher.verdict == "PROCEED", teacher.sentence, figures)


@check()
def student_not_below_original(report: EvalReport) -> Finding:
    """The tuned student does no worse than the original model whose traces it learned from."""
    student, original = report.tuned, report.mean("original")
    if original is None or student is None:
        return Finding(True, "the test set was given, so the original model has no answers to it")
    why = f"{report.primary_metric}: student {student:.3f}, original model {original:.3f}"
    return Finding(student >= original, why, {"student": student, "original": original})


@phase(
    GROUP,
    on="cpu",
    reading=("task", "teacher", "judge", "evaluation"),
    kinds={"llm"},
    checks=(teacher_verdict,),
    buys_answers=True,
)
def teacher_evaluation(
    context: dg.AssetExecutionContext, distil: DistilConfig, store: Store, seed_data: SeedData
) -> dg.MaterializeResult[TeacherEvaluation]:
    """The teacher's answers to the test rows, scored, and whether it is good enough to teach."""
    job = distil.job(context.partition_key)
    with store.client(job) as client:
        result = evaluate_teacher(job, seed_data, client)
        bought = show.spend(client, teacher_phase.PHASE) | {"judging_spend_usd": client.spent_usd(JUDGING)}
    return dg.MaterializeResult(
        value=result,
        metadata={
            "dagster/row_count": len(result.rows),
            "verdict": result.verdict,
            "why": result.sentence,
            result.metric: round(result.score, 4),
            "primary_metric": show.primary_metric(job.task),
            "conversations": len(seed_data.test),
            "without_answer": result.failures,
            "unread_verdicts": result.unread_verdicts,
            "mistakes": show.table(
                {"question": row.question, "right answer": row.answer, "teacher": row.prediction or row.raw}
                for row in result.rows
                if row.scores.get(result.metric) != 1.0
            ),
            **bought,
            **show.settings(job, "base", "evaluation"),
        },
        check_results=[teacher_verdict(result)],
    )


@phase(
    GROUP,
    on="gpu",
    reading=("task", "judge", "evaluation"),
    kinds={"html"},
    checks=(student_not_below_original,),
    buys_answers=True,
)
def eval_report(
    context: dg.AssetExecutionContext,
    distil: DistilConfig,
    store: Store,
    traces: Traces,
    filtered_traces: FilteredTraces,
    relabelled_traces: RelabelledTraces,
    seed_data: SeedData,
    synthetic_dataset: SyntheticDataset,
    teacher_evaluation: TeacherEvaluation,
    sft_adapter: Adapter,
    rlvr_adapter: Adapter,
) -> dg.MaterializeResult[EvalReport]:
    """Original model, teacher, base and tuned student on the same rows: metrics, paired statistics, verdict, report."""
    job = distil.job(context.partition_key)
    work = store.artefacts.work_folder("eval_report", context.partition_key)
    students: dict[ModelRole, tuple[Path, Path | None]] = {
        "base": (base_model(job, sft_adapter), None),
        "sft": model_and_adapter(job, sft_adapter),
    }
    if rlvr_adapter.stage == "rlvr":
        students["rlvr"] = model_and_adapter(job, rlvr_adapter)
    written = {role: predict(context, job, *folders, work, seed_data) for role, folders in students.items()}
    facts = Facts(
        traces,
        filtered_traces,
        relabelled_traces,
        seed_data,
        synthetic_dataset,
        sft_curve=sft_adapter.curve,
        rlvr_curve=rlvr_adapter.curve if "rlvr" in students else [],
        delivered=delivered(sft_adapter, rlvr_adapter).stage,
        why_delivered=rlvr_adapter.note if "rlvr" in students else "",
    )
    with store.client(job) as client:
        models = [
            *original_predictions(job, seed_data, client),
            teacher_evaluation.predictions(),
            *(score_student(job, role, rows, seed_data, client) for role, rows in written.items()),
        ]
        report = write_evaluation(job, models, facts, client, work / "report")
        bought = show.spend(client, JUDGING)
    return dg.MaterializeResult(
        value=report,
        metadata={
            **_report_metadata(report),
            "primary_metric": show.primary_metric(job.task),
            **bought,
            **show.settings(job, "evaluation"),
        },
        check_results=[student_not_below_original(report)],
    )


@dg.asset(
    group_name=GROUP,
    kinds={"markdown"},
    op_tags=ON_CPU,
    deps=[eval_report],
    owners=owners(),
    # After each look that sees a new report. Anything that remembers, or waits for a ranking under way, can lose a
    # report that comes in the look after a request.
    automation_condition=dg.AutomationCondition.any_deps_updated(),
)
def leaderboard(store: Store) -> dg.MaterializeResult:
    """All configurations that have a report, best student first."""
    done = store.artefacts.partitions("eval_report")
    reports = {name: store.artefacts.load("eval_report", name, EvalReport) for name in done}
    ranked = sorted(reports.items(), key=lambda item: -(item[1].tuned or 0.0))
    rows = [
        {
            "configuration": name,
            "metric": report.primary_metric,
            "original": report.mean("original"),
            "teacher": report.mean("teacher"),
            "base": report.mean("base"),
            "tuned": report.tuned,
            "verdict": report.verdict,
        }
        for name, report in ranked
    ]
    return dg.MaterializeResult(metadata={"configurations": len(rows), "leaderboard": show.table(rows, limit=200)})


def _report_metadata(report: EvalReport) -> show.Metadata:
    pictures = [path for path in (report.report / "confusion.png",) if path.exists()]
    return {
        "verdict": report.verdict,
        "why": report.sentence,
        "delivered": report.shipped,
        "rows": report.rows,
        "conversations": report.conversations,
        "models": show.table(
            {
                "model": row.title,
                "name": row.model,
                **{metric: row.means.get(metric) for metric in report.metrics},
                "unread verdicts": row.unread_verdicts,
            }
            for row in report.summary
        ),
        **{
            f"{row.role}/{report.primary_metric}": round(row.means[report.primary_metric], 4)
            for row in report.summary
            if report.primary_metric in row.means
        },
        **{f"picture/{path.stem}": show.picture(path) for path in pictures},
    }
