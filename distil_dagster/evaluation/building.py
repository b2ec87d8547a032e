"""From predictions to the evaluation of one run: who answered what, scored, summed up and written as a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from distil_dagster.config.catalogue import route_of, steady_temperature
from distil_dagster.config.pipeline import PipelineConfig, effective, non_default
from distil_dagster.data.examples import Example
from distil_dagster.data.store import whole_folder
from distil_dagster.errors import DataError
from distil_dagster.evaluation.artefacts import EvalReport, TeacherEvaluation, summarise
from distil_dagster.evaluation.charts import training_charts
from distil_dagster.evaluation.data_statistics import SplitStatistics, split_statistics
from distil_dagster.evaluation.judging import FromJournal, Judge
from distil_dagster.evaluation.metrics import BINARY_METRICS, JUDGE_METRIC
from distil_dagster.evaluation.predictions import ModelPredictions, ModelRole
from distil_dagster.evaluation.report import write_report
from distil_dagster.evaluation.report_input import PhaseCounts, PhaseSpend, ReportInput, Setting
from distil_dagster.evaluation.scoring import metrics_for, score_predictions
from distil_dagster.evaluation.statistics import estimate
from distil_dagster.evaluation.summary import evaluate
from distil_dagster.evaluation.teacher import PHASE as TEACHER_PHASE
from distil_dagster.evaluation.teacher import ask_teacher
from distil_dagster.evaluation.verdicts import teacher_verdict
from distil_dagster.job import Job
from distil_dagster.llm.client import Client
from distil_dagster.progress import Progress
from distil_dagster.synthesis.rows import SyntheticDataset
from distil_dagster.tasks.shots import draw_shots
from distil_dagster.traces.ingest import Traces
from distil_dagster.traces.relabel import RelabelledTraces
from distil_dagster.traces.relevance import FilteredTraces
from distil_dagster.traces.seeds import SeedData
from distil_dagster.training.curve import CurvePoint
from distil_dagster.training.rows import Written

SIMULATED = "/simulated/"
ORIGINAL = "the model that wrote the logs"
SIMULATED_NOTICE = (
    "The answers of the teachers, the committee and the judge come from a simulator that knows the right answers. "
    "Training and the students' answers are real."
)


@dataclass(frozen=True)
class Facts:
    """What the phases before evaluation did, for the report; `delivered` is the stage of the student that ships."""

    traces: Traces
    filtered: FilteredTraces
    relabelled: RelabelledTraces
    seeds: SeedData
    synthetic: SyntheticDataset
    sft_curve: Sequence[CurvePoint]
    rlvr_curve: Sequence[CurvePoint]
    delivered: ModelRole = "sft"
    why_delivered: str = ""


def evaluate_teacher(job: Job, seeds: SeedData, client: Client) -> TeacherEvaluation:
    """Let the teacher answer the test rows, score it, and say whether it is good enough to teach.

    Raises:
        DataError: not one answer could be scored.
    """
    settings, base = job.config.evaluation, job.config.base
    shots = draw_shots(job.task, seeds.train, settings.num_few_shot_examples, base.random_seed)
    rows = job.evaluation_rows(seeds.test)
    progress = Progress(TEACHER_PHASE, len(rows), "answers", spend=lambda: client.spent_usd(TEACHER_PHASE))
    answers = ask_teacher(job.task, rows, shots, base.teacher_model_name, client, progress)
    scored = _score(job, "teacher", base.teacher_model_name, rows, answers.texts, client)
    metric = job.task.primary_metric
    known = scored.known_scores(metric)
    if not known:
        raise DataError(f"teacher evaluation: no score of {metric} is known: {scored.rows[0].verdict_reason}")
    mean = estimate(known, metric in BINARY_METRICS).mean
    verdict = teacher_verdict(mean, metric, job.task.kind)
    return TeacherEvaluation(
        rows=list(scored.rows),
        model=base.teacher_model_name,
        verdict=verdict.verdict,
        metric=metric,
        score=mean,
        sentence=verdict.sentence,
        failures=len(answers.failures),
    )


def original_predictions(job: Job, seeds: SeedData, client: Client) -> list[ModelPredictions]:
    """The logged answers as predictions of the original model; none where not every test row came from a trace."""
    rows = job.evaluation_rows(seeds.test)
    texts = [answer for row in rows for answer in row.logged_answers[-1:]]
    if len(texts) < len(rows):
        return []
    return [_score(job, "original", ORIGINAL, rows, texts, client)]


def score_student(
    job: Job, role: ModelRole, written: Sequence[Written], seeds: SeedData, client: Client
) -> ModelPredictions:
    """Score what a student wrote on the test rows."""
    texts = [row.text for row in written]
    rows = job.evaluation_rows(seeds.test)
    return _score(job, role, job.config.base.student_model_name, rows, texts, client)


def write_evaluation(
    job: Job, models: Sequence[ModelPredictions], facts: Facts, client: Client, folder: Path
) -> EvalReport:
    """Sum up all models and write the report as `folder`, in the place of one that was there."""
    task, seed = job.task, job.config.base.random_seed or 0
    evaluation = evaluate(models, task.metrics, task.primary_metric, task.kind, delivered=facts.delivered, seed=seed)
    notices = (SIMULATED_NOTICE,) if _is_simulated(job.config) else ()
    report = ReportInput(
        title=job.name,
        task=task.name,
        created=datetime.now(UTC).date().isoformat(),
        evaluation=evaluation,
        primary_reason=task.primary_metric_reason,
        conversations=len(facts.seeds.test),
        classes=task.classes,
        label_name="tool" if task.tools else "class",
        splits=_splits(job, facts),
        counts=_counts(facts),
        spend=_spend(client),
        settings=_settings(job.config),
        charts=training_charts(facts.sft_curve, facts.rlvr_curve),
        delivered_reason=facts.why_delivered,
        notices=notices,
    )
    with whole_folder(folder) as written:
        write_report(report, written)
    return EvalReport(
        report=folder,
        title=job.name,
        rows=len(evaluation.tuned.rows),
        conversations=len(facts.seeds.test),
        summary=summarise(evaluation),
        metrics=evaluation.metrics,
        primary_metric=evaluation.primary_metric,
        verdict=evaluation.student_verdict.verdict,
        sentence=evaluation.student_verdict.sentence,
        shipped=evaluation.tuned.model,
        notices=notices,
    )


def _is_simulated(config: PipelineConfig) -> bool:
    models = (config.base.teacher_model_name, config.evaluation.llm_as_a_judge_model_name)
    return any(SIMULATED in route_of(model, config).model for model in models)


def _score(
    job: Job, role: ModelRole, label: str, rows: Sequence[Example], texts: Sequence[str], client: Client
) -> ModelPredictions:
    model = job.config.evaluation.llm_as_a_judge_model_name
    # A retuned student writes new answers; verdicts on them are bought where they decide, and nowhere else.
    is_needed = not job.is_retune or job.task.primary_metric == JUDGE_METRIC
    asks = client if is_needed else FromJournal(client)
    judge = Judge(asks, model, job.description, temperature=steady_temperature(model))
    return score_predictions(job.task, rows, texts, judge, model=role, label=label, metrics=metrics_for(job.task))


def _splits(job: Job, facts: Facts) -> tuple[SplitStatistics, ...]:
    synthetic = [row.as_example() for row in facts.synthetic.accepted]
    splits = (("train seeds", facts.seeds.train), ("synthetic", synthetic), ("test", facts.seeds.test))
    return tuple(split_statistics(name, rows, job.task.labels_in, job.task.labels) for name, rows in splits)


def _counts(facts: Facts) -> tuple[PhaseCounts, ...]:
    synthesis = PhaseCounts("synthesis", len(facts.synthetic.accepted), facts.synthetic.rejections())
    if not facts.traces.lines:
        return (synthesis,)
    kept = [row for row in facts.filtered.rows if row.kept]
    return (
        PhaseCounts("traces read", len(facts.traces.rows), _tally(row.reason for row in facts.traces.set_aside)),
        PhaseCounts("relevance filter", len(kept), _tally(row.reason for row in facts.filtered.rows if row.reason)),
        PhaseCounts("relabelling", len(facts.relabelled.rows), _relabelling(facts.relabelled)),
        synthesis,
    )


def _relabelling(relabelled: RelabelledTraces) -> dict[str, int]:
    changed = sum(row.answer != row.logged_answer for row in relabelled.rows)
    return {"label changed": changed} | _tally(row.reason for row in relabelled.dropped)


def _tally(reasons: Iterable[str]) -> dict[str, int]:
    return dict(Counter(reasons).most_common())


def _spend(client: Client) -> tuple[PhaseSpend, ...]:
    """Everything the journal has paid for, by phase: what this run found there was paid by an earlier one."""
    return tuple(
        PhaseSpend(
            phase=phase,
            paid_answers=paid.answers,
            journal_answers=client.counts(phase).from_journal,
            prompt_tokens=paid.prompt_tokens,
            completion_tokens=paid.completion_tokens,
            cost_usd=paid.cost_usd,
        )
        for phase, paid in client.paid_by_phase().items()
    )


def _settings(config: PipelineConfig) -> tuple[Setting, ...]:
    """Settings that differ from their defaults, without the routes, which say where and not what."""
    defaults = effective(PipelineConfig(base=type(config.base)(task=config.base.task)))
    return tuple(
        Setting(f"{section}.{key}", value, defaults[section][key])
        for section, keys in non_default(config).items()
        for key, value in keys.items()
        if section != "data"
    )
