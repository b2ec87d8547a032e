"""The relevance filter: the trace teacher scores seed traces in batches, and the low ones are dropped with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, Field

from distil_dagster.config.catalogue import steady_temperature
from distil_dagster.config.sections import TraceProcessing
from distil_dagster.data.examples import Trace
from distil_dagster.data.job import JobDescription
from distil_dagster.data.messages import as_openai
from distil_dagster.llm.client import Client
from distil_dagster.llm.requests import Answered, Request
from distil_dagster.progress import Progress
from distil_dagster.prompts import render
from distil_dagster.tasks.base import Task
from distil_dagster.traces.ingest import SplitTrace, Traces

PHASE = "relevance filter"
DropReason = Literal["", "irrelevant", "incoherent", "not_scored"]


class TraceScore(BaseModel):
    """The teacher's opinion of one conversation."""

    id: int
    relevance: int = Field(ge=1, le=5)
    coherence: int = Field(ge=1, le=5)
    reason: str


class TraceScores(BaseModel):
    """The teacher's opinion of one batch."""

    scores: list[TraceScore]


class CompressedDescription(BaseModel):
    """A shorter task description, used for scoring only."""

    task_description: str = Field(min_length=1)


class ScoredTrace(SplitTrace):
    """A seed trace with its scores (1 to 5; none where it was not scored) and whether it goes on."""

    relevance: int | None = None
    coherence: int | None = None
    kept: bool
    reason: DropReason = ""
    explanation: str = ""
    request_key: str = ""


@dataclass(frozen=True)
class FilteredTraces:
    """Every seed trace, kept or dropped."""

    rows: list[ScoredTrace]
    note: str = ""


@dataclass(frozen=True)
class _Scored:
    score: TraceScore | None
    key: str
    problem: str = ""


def filter_traces(
    traces: Traces, task: Task, job: JobDescription, settings: TraceProcessing, client: Client
) -> FilteredTraces:
    """Score every seed trace and drop those below `min_relevance_score` or `min_coherence_score`.

    With `relevance_filtering` off every seed trace is kept, unscored.
    """
    seeds = [row for row in traces.rows if row.part != "unstructured"]
    if not settings.relevance_filtering:
        kept = [ScoredTrace(**dict(row), kept=True) for row in seeds]
        return FilteredTraces(kept, note="relevance_filtering is off: every seed trace goes on unscored")
    scored = score_traces(seeds, task, job, settings, client)
    rows = [_decide(row, score, settings) for row, score in zip(seeds, scored, strict=True)]
    return FilteredTraces(rows, note=traces.note)


def score_traces(
    traces: Sequence[Trace], task: Task, job: JobDescription, settings: TraceProcessing, client: Client
) -> list[_Scored]:
    """One score a trace, in order. A batch that cannot be scored is halved until it can, or holds one trace."""
    description = _description(job, settings, client)
    found: dict[int, _Scored] = {}
    progress = Progress(PHASE, len(traces), "traces", spend=lambda: client.spent_usd(PHASE))
    size = settings.relevance_filtering_batch_size
    batches = [list(range(start, min(start + size, len(traces)))) for start in range(0, len(traces), size)]
    while batches:
        requests = [_request([traces[i] for i in batch], task, job, description, settings) for batch in batches]
        again: list[list[int]] = []
        for batch, outcome in zip(batches, client.ask(requests, PHASE), strict=True):
            scores = _by_position(outcome.parsed, len(batch)) if isinstance(outcome, Answered) else {}
            found |= {batch[position]: _Scored(score, outcome.key) for position, score in scores.items()}
            missing = [index for position, index in enumerate(batch) if position not in scores]
            progress.advance(len(scores))
            if missing and len(batch) == 1:
                problem = (
                    "no score for its id" if isinstance(outcome, Answered) else f"{outcome.reason}: {outcome.detail}"
                )
                found[missing[0]] = _Scored(None, outcome.key, problem)
                progress.advance()
            elif missing:
                half = (len(missing) + 1) // 2
                again += [part for part in (missing[:half], missing[half:]) if part]
        batches = again
    return [found[index] for index in range(len(traces))]


def _request(
    traces: Sequence[Trace], task: Task, job: JobDescription, description: str, settings: TraceProcessing
) -> Request:
    prompt = render(
        "traces/score",
        task_description=description,
        labels=task.label_descriptions,
        instructions=job.trace_processing_instructions,
        traces=[(number, as_openai(trace.messages)) for number, trace in enumerate(traces, start=1)],
    )
    messages = ({"role": "user", "content": prompt},)
    return Request(
        settings.teacher_model_name,
        messages,
        schema=TraceScores,
        schema_name="trace_scores",
        temperature=steady_temperature(settings.teacher_model_name),
    )


def _description(job: JobDescription, settings: TraceProcessing, client: Client) -> str:
    if not settings.compress_job_description:
        return job.task_description
    prompt = render("traces/compress", task_description=job.task_description)
    request = Request(
        settings.teacher_model_name,
        ({"role": "user", "content": prompt},),
        schema=CompressedDescription,
        schema_name="compressed_job_description",
        temperature=steady_temperature(settings.teacher_model_name),
    )
    (outcome,) = client.ask([request], PHASE)
    # Scoring with the long description costs more, but is never wrong.
    if isinstance(outcome, Answered) and isinstance(outcome.parsed, CompressedDescription):
        return outcome.parsed.task_description
    return job.task_description


def _by_position(parsed: BaseModel | None, size: int) -> dict[int, TraceScore]:
    """Scores by position in the batch; ids run from 1, and an id that was not asked about is ignored."""
    scores = parsed.scores if isinstance(parsed, TraceScores) else []
    return {score.id - 1: score for score in reversed(scores) if 1 <= score.id <= size}


def _decide(trace: SplitTrace, scored: _Scored, settings: TraceProcessing) -> ScoredTrace:
    if scored.score is None:
        return ScoredTrace(
            **dict(trace), kept=False, reason="not_scored", explanation=scored.problem, request_key=scored.key
        )
    reason: DropReason = ""
    if scored.score.relevance < settings.min_relevance_score:
        reason = "irrelevant"
    elif scored.score.coherence < settings.min_coherence_score:
        reason = "incoherent"
    return ScoredTrace(
        **dict(trace),
        relevance=scored.score.relevance,
        coherence=scored.score.coherence,
        kept=not reason,
        reason=reason,
        explanation=scored.score.reason,
        request_key=scored.key,
    )
