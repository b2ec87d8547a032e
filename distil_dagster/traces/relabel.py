"""Relabelling: a committee answers every example, the trace teacher decides, and what is invalid is repaired."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, Field

from distil_dagster.config.catalogue import steady_temperature
from distil_dagster.config.sections import TraceProcessing
from distil_dagster.data.examples import Example, Part, SetAside
from distil_dagster.data.files import kept_aside
from distil_dagster.data.messages import Frozen, Message, as_openai
from distil_dagster.errors import DataError
from distil_dagster.llm.client import Client
from distil_dagster.llm.requests import Answered, Failed, Request, answer_text
from distil_dagster.progress import Progress
from distil_dagster.prompts import render
from distil_dagster.tasks.base import Invalid, Task
from distil_dagster.traces.relevance import FilteredTraces

PHASE = "relabelling"
DecidedBy = Literal["log", "single", "unanimous", "aggregator", "repair"]


class AggregatedAnswer(BaseModel):
    """The trace teacher's decision between the committee's candidates."""

    answer: str = Field(min_length=1)
    reason: str


class Vote(Frozen):
    """What one committee model answered; `problem` says why it gave no usable answer."""

    model: str
    answer: str
    problem: str = ""
    request_key: str = ""


class RelabelledExample(Frozen):
    """An example with its final answer and everything that led to it."""

    part: Part
    file: str
    line: int
    messages: tuple[Message, ...]
    logged_answer: str
    answer: str
    decided_by: DecidedBy
    votes: tuple[Vote, ...] = ()
    aggregator_answer: str | None = None
    aggregator_reason: str = ""
    request_keys: tuple[str, ...] = ()

    def as_example(self) -> Example:
        """The example with the final answer in place of the logged one."""
        return Example(
            messages=(*self.messages[:-1], Message(role="assistant", content=self.answer)),
            source=f"{self.file}:{self.line}",
            logged_answer=self.logged_answer,
            request_keys=self.request_keys,
        )


@dataclass(frozen=True)
class RelabelledTraces:
    """The examples that trace processing gives, and those dropped on the way."""

    rows: list[RelabelledExample]
    dropped: list[SetAside]
    note: str = ""

    def count(self, part: Part) -> int:
        """How many examples a part has."""
        return sum(row.part == part for row in self.rows)


@dataclass
class _Draft:
    """An example on its way: the answer is filled in step by step."""

    part: Part
    file: str
    line: int
    logged: Example
    votes: list[Vote] = field(default_factory=list)
    answer: str | None = None
    decided_by: DecidedBy = "log"
    aggregated: str | None = None
    reason: str = ""
    keys: list[str] = field(default_factory=list)
    problem: str = ""

    def example(self) -> Example:
        answer = Message(role="assistant", content=self.answer or "")
        return self.logged.model_copy(update={"messages": (*self.logged.prompt, answer)})


def relabel_traces(
    filtered: FilteredTraces, task: Task, settings: TraceProcessing, client: Client, *, max_total_length: int
) -> RelabelledTraces:
    """Give every kept trace's examples their final answers.

    With `relabel` off the logged answers stay. An empty committee means that the trace teacher answers alone.
    """
    drafts = [
        _Draft(row.part, row.file, row.line, Example(messages=messages))
        for row in filtered.rows
        if row.kept
        for messages in task.examples_of(row.messages)
    ]
    if settings.relabel:
        _vote(drafts, task, settings, client)
        _decide(drafts, task, settings, client)
    else:
        for draft in drafts:
            draft.answer = task.parse_prediction(draft.logged.answer).text
    _repair(drafts, task, settings, client, max_total_length)
    finished = [draft for draft in drafts if not draft.problem]
    return RelabelledTraces(
        [_row(draft) for draft in finished], [_dropped(draft) for draft in drafts if draft.problem], note=filtered.note
    )


def require_minimum(relabelled: RelabelledTraces, counts: Mapping[str, Mapping[Part, int]], minimum: int) -> None:
    """Demand `min_generated_examples` of each part that was made from traces.

    `counts` says, step by step, how many seed traces of each part were left after it.

    Raises:
        DataError: a part has fewer; says how many were lost where.
    """
    problems = []
    for part in sorted({part for by_part in counts.values() for part, count in by_part.items() if count}):
        made = relabelled.count(part)
        if made < minimum:
            steps = ", ".join(f"{by_part.get(part, 0)} {step}" for step, by_part in counts.items())
            problems.append(
                f"trace processing made {made} {part} examples, fewer than trace_processing.min_generated_examples = "
                f"{minimum}: {steps}, {made} labelled and valid"
            )
    if problems:
        raise DataError("\n".join(problems))


def seed_counts(filtered: FilteredTraces) -> dict[str, dict[Part, int]]:
    """How many seed traces of each part were drawn, and how many the filter kept."""
    return {
        "drawn": dict(Counter(row.part for row in filtered.rows)),
        "kept by the relevance filter": dict(Counter(row.part for row in filtered.rows if row.kept)),
    }


def _vote(drafts: Sequence[_Draft], task: Task, settings: TraceProcessing, client: Client) -> None:
    models = settings.relabelling_committee_models or [settings.teacher_model_name]
    schema = task.answer_schema()
    asked = [(draft, model) for draft in drafts for model in models]
    requests = [
        Request(
            model,
            tuple(task.prompt(draft.logged)),
            schema=schema,
            schema_name="answer",
            temperature=steady_temperature(model),
        )
        for draft, model in asked
    ]
    progress = Progress(PHASE, len(requests), "votes", spend=lambda: client.spent_usd(PHASE))
    for (draft, model), outcome in zip(asked, client.ask(requests, PHASE, progress), strict=True):
        draft.keys.append(outcome.key)
        draft.votes.append(_read_vote(model, outcome, task))


def _read_vote(model: str, outcome: Answered | Failed, task: Task) -> Vote:
    if isinstance(outcome, Failed):
        return Vote(model=model, answer="", problem=f"{outcome.reason}: {outcome.detail}", request_key=outcome.key)
    parsed = task.parse_prediction(answer_text(outcome))
    return Vote(model=model, answer=parsed.text, problem=parsed.problem, request_key=outcome.key)


def _decide(drafts: Sequence[_Draft], task: Task, settings: TraceProcessing, client: Client) -> None:
    """Take what all agree on as it is; ask the trace teacher about the rest."""
    contested = []
    for draft in drafts:
        answers = {vote.answer for vote in draft.votes if vote.answer}
        draft.answer = draft.votes[0].answer if draft.votes else None
        draft.decided_by = "single" if len(draft.votes) == 1 else "unanimous"
        if len(answers) > 1:
            contested.append(draft)
        elif answers:
            draft.answer = answers.pop()
    requests = [_aggregation(draft, task, settings) for draft in contested]
    for draft, outcome in zip(contested, client.ask(requests, PHASE), strict=True):
        draft.keys.append(outcome.key)
        draft.decided_by = "aggregator"
        if isinstance(outcome, Answered) and isinstance(outcome.parsed, AggregatedAnswer):
            draft.aggregated = draft.answer = task.parse_prediction(outcome.parsed.answer).text
            draft.reason = outcome.parsed.reason
        else:
            draft.answer = None


def _aggregation(draft: _Draft, task: Task, settings: TraceProcessing) -> Request:
    prompt = render(
        "traces/aggregate",
        system_prompt=task.system_prompt(),
        messages=as_openai(draft.logged.prompt),
        candidates=[vote.answer for vote in draft.votes if vote.answer],
        logged_answer=draft.logged.answer,
    )
    messages = ({"role": "user", "content": prompt},)
    return Request(
        settings.teacher_model_name,
        messages,
        schema=AggregatedAnswer,
        schema_name="aggregated_answer",
        temperature=steady_temperature(settings.teacher_model_name),
    )


def _repair(
    drafts: Sequence[_Draft], task: Task, settings: TraceProcessing, client: Client, max_total_length: int
) -> None:
    """Ask the trace teacher once about each answer that does not satisfy the task; note what is still wrong."""
    broken = []
    for draft in drafts:
        verdict = task.validate(draft.example(), max_total_length)
        if isinstance(verdict, Invalid):
            draft.problem = f"{verdict.reason}: {verdict.detail}"
            broken.append(draft)
    requests = [_repair_request(draft, task, settings) for draft in broken]
    for draft, outcome in zip(broken, client.ask(requests, PHASE), strict=True):
        draft.keys.append(outcome.key)
        if isinstance(outcome, Failed):
            continue
        draft.answer = task.parse_prediction(answer_text(outcome)).text
        draft.decided_by = "repair"
        verdict = task.validate(draft.example(), max_total_length)
        draft.problem = f"{verdict.reason}: {verdict.detail}" if isinstance(verdict, Invalid) else ""


def _repair_request(draft: _Draft, task: Task, settings: TraceProcessing) -> Request:
    prompt = render(
        "traces/repair",
        system_prompt=task.system_prompt(),
        messages=as_openai(draft.logged.prompt),
        answer=draft.answer or "",
        problem=draft.problem,
    )
    messages = ({"role": "user", "content": prompt},)
    return Request(
        settings.teacher_model_name,
        messages,
        schema=task.answer_schema(),
        schema_name="repaired_answer",
        temperature=steady_temperature(settings.teacher_model_name),
    )


def _row(draft: _Draft) -> RelabelledExample:
    return RelabelledExample(
        part=draft.part,
        file=draft.file,
        line=draft.line,
        messages=draft.logged.messages,
        logged_answer=draft.logged.answer,
        answer=draft.example().answer,
        decided_by=draft.decided_by,
        votes=tuple(draft.votes),
        aggregator_answer=draft.aggregated,
        aggregator_reason=draft.reason,
        request_keys=tuple(draft.keys),
    )


def _dropped(draft: _Draft) -> SetAside:
    raw = {"messages": as_openai(draft.logged.messages)}
    return kept_aside(draft.file, draft.line, "invalid_answer", draft.problem, raw)
