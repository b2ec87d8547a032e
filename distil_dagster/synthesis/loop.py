"""The generate–validate loop: ask for what is missing and check what comes, until the target is reached.

Every draw depends on the seed and on the answers received before it. Answers are durable in the journal, so a run that
is killed and started again draws the same, asks the same, and buys only what was in flight.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from distil_dagster.config.sections import Synthgen
from distil_dagster.data.examples import Example
from distil_dagster.data.job import JobDescription
from distil_dagster.data.messages import as_openai
from distil_dagster.llm.client import Client
from distil_dagster.llm.requests import Failed, Request
from distil_dagster.progress import Progress
from distil_dagster.prompts import render
from distil_dagster.synthesis.balance import Label, plan_iteration, quotas
from distil_dagster.synthesis.exemplars import ExemplarPool, Exemplars
from distil_dagster.synthesis.mutators import draw_guidelines
from distil_dagster.synthesis.rows import RejectedRow, RowReason, SyntheticDataset, SyntheticRow
from distil_dagster.synthesis.validation import Rejected, Validator
from distil_dagster.tasks.base import GenerationRequest, Task
from distil_dagster.traces.seeds import SeedData

PHASE = "synthesis"
EMPTY_ITERATIONS = 3
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Call:
    """One generation call and what it was made of."""

    wanted: GenerationRequest
    exemplars: Exemplars
    guidelines: tuple[tuple[str, str], ...]
    request: Request


@dataclass
class _State:
    """What the loop has so far. `barren` counts, for each label, the iterations in a row that brought nothing."""

    missing: dict[Label, int]
    accepted: list[SyntheticRow] = field(default_factory=list)
    rejected: list[RejectedRow] = field(default_factory=list)
    barren: Counter[Label] = field(default_factory=Counter)
    iteration: int = 0

    def open_quotas(self) -> dict[Label, int]:
        """What is still missing of the labels that are not given up."""
        return {k: count for k, count in self.missing.items() if count and self.barren[k] < EMPTY_ITERATIONS}


def generate(
    seeds: SeedData,
    task: Task,
    job: JobDescription,
    settings: Synthgen,
    client: Client,
    *,
    teacher: str,
    seed: int | None,
) -> SyntheticDataset:
    """Generate `generation_target` examples that differ from the seeds, the test set and each other.

    A class that brings nothing new in three iterations in a row is given up; the dataset then says so in `stopped`.
    """
    seed_counts = Counter(label for example in seeds.train if (label := task.label(example)) is not None)
    proportions = seed_counts if settings.match_generated_distribution_to_seed else None
    state = _State(quotas(settings.generation_target, task.labels, proportions))
    pool = ExemplarPool(task, seeds.train, seeds.unstructured)
    validator = Validator(task, seeds.train, seeds.test, settings)
    random = Random(seed)
    progress = Progress(PHASE, settings.generation_target, "examples", spend=lambda: client.spent_usd(PHASE))
    while missing := state.open_quotas():
        state.iteration += 1
        plan = plan_iteration(missing, settings.generation_iteration_size, settings.generation_in_single_call, random)
        calls = [
            _call(wanted, number, pool, task, job, settings, teacher, random)
            for number, wanted in enumerate(plan, start=len(state.accepted) + len(state.rejected))
        ]
        before = Counter(row.label for row in state.accepted)
        for call, outcome in zip(calls, client.ask([call.request for call in calls], PHASE), strict=True):
            if isinstance(outcome, Failed) or outcome.parsed is None:
                detail = f"{outcome.reason}: {outcome.detail}" if isinstance(outcome, Failed) else "no answer"
                state.rejected.append(_rejection("call_failed", detail, call, None, state.iteration, outcome.key))
                continue
            taken = len(state.accepted)
            for example in task.read_generated(outcome.parsed):
                _take(example, call, outcome.key, state, validator)
            progress.advance(len(state.accepted) - taken)
        after = Counter(row.label for row in state.accepted)
        for label in {call.wanted.label for call in calls}:
            state.barren[label] = 0 if after[label] > before[label] else state.barren[label] + 1
    stopped = _why_stopped(state.missing)
    if stopped:
        log.warning("synthesis stopped before its target: %s", stopped)
    return SyntheticDataset(state.accepted, state.rejected, settings.generation_target, state.iteration, stopped)


def _call(
    wanted: GenerationRequest,
    number: int,
    pool: ExemplarPool,
    task: Task,
    job: JobDescription,
    settings: Synthgen,
    teacher: str,
    random: Random,
) -> _Call:
    exemplars = pool.draw(wanted.label, settings, random)
    guidelines = draw_guidelines(settings.basic_mutators_to_use, settings.mutation_topics, random)
    prompt = render(
        "synthesis/generate",
        job=job,
        labels=task.label_descriptions,
        label=wanted.label,
        count=wanted.count,
        positives=[_shown(example) for example in exemplars.positives],
        negatives=[_shown(example) for example in exemplars.negatives],
        unlabelled=[row.text for row in exemplars.unlabelled],
        guidelines=guidelines,
    )
    request = Request(
        teacher,
        ({"role": "user", "content": prompt},),
        schema=task.generated_schema(wanted),
        schema_name="generated_examples",
        temperature=settings.teacher_temperature,
        max_tokens=settings.teacher_max_tokens,
        sample=number,
    )
    return _Call(wanted, exemplars, tuple(guidelines), request)


def _take(example: Example, call: _Call, key: str, state: _State, validator: Validator) -> None:
    label = call.wanted.label
    verdict = validator.check(example, label)
    if isinstance(verdict, Rejected):
        state.rejected.append(_rejection(verdict.reason, verdict.detail, call, example, state.iteration, key))
        return
    if not state.missing[label]:
        state.rejected.append(_rejection("beyond_target", "the quota is full", call, example, state.iteration, key))
        return
    number = len(state.accepted) + 1
    state.missing[label] -= 1
    state.accepted.append(
        SyntheticRow(
            number=number,
            label=label,
            messages=example.messages,
            context=example.context,
            iteration=state.iteration,
            request_key=key,
            exemplars=call.exemplars.sources,
            guidelines=call.guidelines,
        )
    )
    validator.remember(f"synthetic:{number}", example)


def _rejection(
    reason: RowReason, detail: str, call: _Call, example: Example | None, iteration: int, key: str
) -> RejectedRow:
    return RejectedRow(
        reason=reason,
        detail=detail,
        label=call.wanted.label,
        messages=example.messages if example else (),
        context=example.context if example else None,
        iteration=iteration,
        request_key=key,
    )


def _why_stopped(missing: dict[Label, int]) -> str:
    short = [f"{count} more {'examples' if label is None else label}" for label, count in missing.items() if count]
    if not short:
        return ""
    return f"{EMPTY_ITERATIONS} iterations in a row brought nothing new for {', '.join(short)}"


def _shown(example: Example) -> dict[str, object]:
    """An exemplar as the prompt shows it."""
    if len(example.messages) > 2:
        return {"messages": as_openai(example.messages)}
    return {"question": example.question, "answer": example.answer}
