"""Relabelling: a committee answers every example, the trace teacher decides, and what is invalid is repaired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from pydantic import BaseModel, Field, create_model

from distil_dagster.config.catalogue import steady_temperature
from distil_dagster.config.sections import TraceProcessing
from distil_dagster.data.examples import Example, Part, SetAside
from distil_dagster.data.files import kept_aside
from distil_dagster.data.messages import Frozen, Message, as_openai
from distil_dagster.llm.client import Client
from distil_dagster.llm.requests import Answered, Failed, Request, answer_text
from distil_dagster.progress import Progress
from distil_dagster.prompts import render
from distil_dagster.tasks.base import Invalid, Task, Unusable
from distil_dagster.traces.relevance import FilteredTraces

PHASE = "relabelling"
DecidedBy = Literal["log", "single", "unanimous", "aggregator", "repair"]


class TextAnswer(BaseModel):
    """An answer that is a text, as one that is repaired or decided on is asked for."""

    answer: str = Field(min_length=1)


class Vote(Frozen):
    """What one committee model answered; `problem` says why it gave no usable answer."""

    model: str
    answer: str
    problem: str = ""
    request_key: str = ""


class RelabelledExample(Frozen):
    """An example with its final answer and everything that led to it.

    `messages` end on the final answer; `answer` and `logged_answer` are the task's whole answers, in conversations the
    list of all calls. `logged_answers` are what the log says, one for each assistant turn.
    """

    part: Part
    file: str
    line: int
    messages: tuple[Message, ...]
    context: str | None = None
    logged_answers: tuple[str, ...] = ()
    logged_answer: str
    answer: str
    decided_by: DecidedBy
    votes: tuple[Vote, ...] = ()
    aggregator_answer: str | None = None
    aggregator_reason: str = ""
    request_keys: tuple[str, ...] = ()

    def as_example(self) -> Example:
        """The example as data."""
        return Example(
            messages=self.messages,
            context=self.context,
            source=f"{self.file}:{self.line}",
            logged_answers=self.logged_answers,
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

    def example(self, task: Task) -> Example:
        return task.with_whole_answer(self.logged, self.answer or "")


def relabel_traces(
    filtered: FilteredTraces, task: Task, settings: TraceProcessing, client: Client, *, max_total_length: int
) -> RelabelledTraces:
    """Give every kept trace's examples their final answers.

    With `relabel` off the logged answers stay. An empty committee means that the trace teacher answers alone.
    """
    drafts = [
        _Draft(row.part, row.file, row.line, example)
        for row in filtered.rows
        if row.kept
        for example in _examples(row.messages, task, settings)
    ]
    if settings.relabel:
        _vote(drafts, task, settings, client)
        _decide(drafts, task, settings, client)
    else:
        for draft in drafts:
            draft.answer = task.whole_answer(draft.logged)
    _repair(drafts, task, settings, client, max_total_length)
    finished = [draft for draft in drafts if not draft.problem]
    return RelabelledTraces(
        [_row(draft, task) for draft in finished],
        [_dropped(draft) for draft in drafts if draft.problem],
        note=filtered.note,
    )


def _examples(messages: Sequence[Message], task: Task, settings: TraceProcessing) -> list[Example]:
    found = task.examples_of(messages, settings.convert_to_single_turn)
    # Reading the traces has set aside those that give none.
    return [] if isinstance(found, Unusable) else found


def _vote(drafts: Sequence[_Draft], task: Task, settings: TraceProcessing, client: Client) -> None:
    models = settings.relabelling_committee_models or [settings.teacher_model_name]
    schema = task.relabel_schema()
    asked = [(draft, model) for draft in drafts for model in models]
    requests = [
        Request(
            model,
            tuple(task.relabel_prompt(draft.logged)),
            schema=schema,
            schema_name="answer" if schema else "",
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
    parsed = task.read_relabelled(answer_text(outcome))
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
        if isinstance(outcome, Answered) and outcome.parsed is not None:
            draft.aggregated = draft.answer = task.read_relabelled(answer_text(outcome)).text
            draft.reason = outcome.parsed.model_dump()["reason"]
        else:
            draft.answer = None


def _aggregation(draft: _Draft, task: Task, settings: TraceProcessing) -> Request:
    prompt = render(
        "traces/aggregate",
        system_prompt=_job_text(draft, task),
        messages=task.conversation_shown(draft.logged),
        candidates=[vote.answer for vote in draft.votes if vote.answer],
        logged_answer=task.whole_answer(draft.logged),
    )
    messages = ({"role": "user", "content": prompt},)
    return Request(
        settings.teacher_model_name,
        messages,
        schema=_aggregated_schema(task.relabel_schema() or TextAnswer),
        schema_name="aggregated_answer",
        temperature=steady_temperature(settings.teacher_model_name),
    )


@cache
def _aggregated_schema(answer: type[BaseModel]) -> type[BaseModel]:
    """The shape of a decision between candidates: an answer, and why."""
    return create_model("AggregatedAnswer", __base__=answer, reason=(str, ...))


def _job_text(draft: _Draft, task: Task) -> str:
    """The job as a teacher is told it, tools included."""
    return str(task.teacher_prompt(draft.logged)[0]["content"])


def _repair(
    drafts: Sequence[_Draft], task: Task, settings: TraceProcessing, client: Client, max_total_length: int
) -> None:
    """Ask the trace teacher once about each answer that does not satisfy the task; note what is still wrong."""
    broken = []
    for draft in drafts:
        verdict = task.validate(draft.example(task), max_total_length)
        if isinstance(verdict, Invalid):
            draft.problem = f"{verdict.reason}: {verdict.detail}"
            broken.append(draft)
    requests = [_repair_request(draft, task, settings) for draft in broken]
    for draft, outcome in zip(broken, client.ask(requests, PHASE), strict=True):
        draft.keys.append(outcome.key)
        if isinstance(outcome, Failed):
            continue
        draft.answer = task.read_relabelled(answer_text(outcome)).text
        draft.decided_by = "repair"
        verdict = task.validate(draft.example(task), max_total_length)
        draft.problem = f"{verdict.reason}: {verdict.detail}" if isinstance(verdict, Invalid) else ""


def _repair_request(draft: _Draft, task: Task, settings: TraceProcessing) -> Request:
    prompt = render(
        "traces/repair",
        system_prompt=_job_text(draft, task),
        messages=task.conversation_shown(draft.logged),
        answer=draft.answer or "",
        problem=draft.problem,
    )
    messages = ({"role": "user", "content": prompt},)
    return Request(
        settings.teacher_model_name,
        messages,
        schema=task.relabel_schema() or TextAnswer,
        schema_name="repaired_answer",
        temperature=steady_temperature(settings.teacher_model_name),
    )


def _row(draft: _Draft, task: Task) -> RelabelledExample:
    final = draft.example(task)
    return RelabelledExample(
        part=draft.part,
        file=draft.file,
        line=draft.line,
        messages=final.messages,
        context=final.context,
        logged_answers=draft.logged.logged_answers,
        logged_answer=task.whole_answer(draft.logged),
        answer=task.whole_answer(final),
        decided_by=draft.decided_by,
        votes=tuple(draft.votes),
        aggregator_answer=draft.aggregated,
        aggregator_reason=draft.reason,
        request_keys=tuple(draft.keys),
    )


def _dropped(draft: _Draft) -> SetAside:
    raw = {"messages": as_openai(draft.logged.messages)}
    return kept_aside(draft.file, draft.line, "invalid_answer", draft.problem, raw)
