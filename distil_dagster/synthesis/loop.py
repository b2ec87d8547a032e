"""The generate–validate loop: ask for what is missing and check what comes, until the target is reached.

Every draw depends on the seed and on the answers received before it. Answers are durable in the journal, so a run that
is killed and started again draws the same, asks the same, and buys only what was in flight.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from random import Random

from distil_dagster.config.sections import Synthgen
from distil_dagster.data.examples import Example
from distil_dagster.data.folder import UnstructuredRow
from distil_dagster.llm.client import Client
from distil_dagster.llm.requests import Answered, Failed
from distil_dagster.progress import Progress
from distil_dagster.synthesis.balance import Subject, context_quotas, label_quotas, plan_iteration
from distil_dagster.synthesis.calls import Call, CallWriter
from distil_dagster.synthesis.contexts import contexts_for
from distil_dagster.synthesis.demand import EMPTY_ITERATIONS, Demand
from distil_dagster.synthesis.distractors import Distractors
from distil_dagster.synthesis.exemplars import ExemplarPool
from distil_dagster.synthesis.rows import RejectedRow, RowReason, SyntheticDataset, SyntheticRow
from distil_dagster.synthesis.validation import Rejected, Validator
from distil_dagster.tasks.base import Task
from distil_dagster.traces.seeds import SeedData

PHASE = "synthesis"
log = logging.getLogger(__name__)


def generate(
    seeds: SeedData, task: Task, settings: Synthgen, client: Client, *, teacher: str, seed: int | None
) -> SyntheticDataset:
    """Generate examples that differ from the seeds, the test set and each other, as many as the settings ask for.

    A class or tool that brings nothing new in three iterations in a row is given up, and the dataset then says so in
    `stopped`. A context is given up likewise; the other contexts bring what it still owes, unless the settings ask for
    a number from each.

    Raises:
        DataError: the task generates from contexts, and there are none.
    """
    random = Random(seed)
    contexts = contexts_for(task, seeds)
    demand = _demand(task, seeds.train, contexts, settings, random)
    writer = CallWriter(task, ExemplarPool(task, seeds.train, seeds.unstructured), settings, teacher, random)
    intake = _Intake(task, seeds, contexts, settings, demand, random)
    progress = Progress(PHASE, demand.target, "examples", spend=lambda: client.spent_usd(PHASE))
    while missing := demand.open_quotas():
        plan = plan_iteration(missing, settings.generation_iteration_size, settings.generation_in_single_call, random)
        calls = [writer.write(subject, count) for subject, count in plan]
        intake.iteration += 1
        brought = set()
        for call, outcome in zip(calls, client.ask([call.request for call in calls], PHASE), strict=True):
            taken = intake.take(call, outcome)
            progress.advance(taken)
            if taken:
                brought.add(call.subject)
        demand.end_iteration(plan, brought, random)
    stopped = demand.stopped()
    if stopped:
        log.warning("synthesis stopped before its target: %s", stopped)
    return SyntheticDataset(intake.accepted, intake.rejected, demand.target, intake.iteration, stopped)


def _demand(
    task: Task, train: Sequence[Example], contexts: Sequence[UnstructuredRow], settings: Synthgen, random: Random
) -> Demand:
    most_in_vain = 2 * EMPTY_ITERATIONS * settings.generation_iteration_size
    if not contexts:
        seed_counts = Counter(label for example in train for label in task.labels_in(example))
        follow_seeds = task.classes and settings.match_generated_distribution_to_seed
        quotas = label_quotas(settings.generation_target, task.labels, seed_counts if follow_seeds else None)
        return Demand(quotas, passes_on=False, most_in_vain=most_in_vain)
    per_context = settings.generation_per_unstructured_context if task.context_use == "source" else None
    quotas = context_quotas(settings.generation_target, per_context, contexts, random)
    return Demand(quotas, passes_on=per_context is None, most_in_vain=most_in_vain)


class _Intake:
    """Reads answers, and sorts the examples in them into accepted and rejected ones."""

    def __init__(
        self,
        task: Task,
        seeds: SeedData,
        contexts: Sequence[UnstructuredRow],
        settings: Synthgen,
        demand: Demand,
        random: Random,
    ) -> None:
        self.accepted: list[SyntheticRow] = []
        self.rejected: list[RejectedRow] = []
        self.iteration = 0
        self._task = task
        self._validator = Validator(task, seeds.train, seeds.test, settings)
        self._distractors = Distractors(contexts, settings.num_distractor_context_blocks)
        self._demand = demand
        self._random = random

    def take(self, call: Call, outcome: Answered | Failed) -> int:
        """How many examples of a call's answer were accepted."""
        if isinstance(outcome, Failed) or outcome.parsed is None:
            detail = f"{outcome.reason}: {outcome.detail}" if isinstance(outcome, Failed) else "no answer"
            self._reject("call_failed", detail, call, None, outcome.key)
            return 0
        before = len(self.accepted)
        for example in self._task.read_generated(outcome.parsed, call.wanted):
            self._take(example, call, outcome.key)
        return len(self.accepted) - before

    def _take(self, generated: Example, call: Call, key: str) -> None:
        example, distractors = self._with_distractors(generated, call.subject)
        verdict = self._validator.check(example, call.subject.label)
        if isinstance(verdict, Rejected):
            self._reject(verdict.reason, verdict.detail, call, example, key)
            return
        if not self._demand.take(call.subject):
            self._reject("beyond_target", "the quota is full", call, example, key)
            return
        number = len(self.accepted) + 1
        self.accepted.append(
            SyntheticRow(
                number=number,
                label=call.subject.label,
                messages=example.messages,
                context=example.context,
                iteration=self.iteration,
                request_key=key,
                exemplars=call.exemplars.sources,
                guidelines=call.guidelines,
                context_source=_context_source(call.subject),
                distractors=distractors,
            )
        )
        self._validator.remember(f"synthetic:{number}", example)

    def _with_distractors(self, example: Example, subject: Subject) -> tuple[Example, tuple[str, ...]]:
        """The example as the student will see it, with the contexts beside its own, and where those come from."""
        if subject.context is None or example.context is None:
            return example, ()
        mixed = self._distractors.mix(subject.context, self._random)
        return example.model_copy(update={"context": mixed.text}), mixed.sources

    def _reject(self, reason: RowReason, detail: str, call: Call, example: Example | None, key: str) -> None:
        self.rejected.append(
            RejectedRow(
                reason=reason,
                detail=detail,
                label=call.subject.label,
                messages=example.messages if example else (),
                context=example.context if example else None,
                iteration=self.iteration,
                request_key=key,
                context_source=_context_source(call.subject),
            )
        )


def _context_source(subject: Subject) -> str:
    return subject.context.source if subject.context else ""
