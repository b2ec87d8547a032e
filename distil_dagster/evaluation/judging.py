"""LLM-as-a-judge: a model reads question, reference and prediction, and says good or bad.

A verdict that cannot be had counts for neither side: it is `Unread`, with the reason, and never a zero.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import Field

from distil_dagster.data.job import JobDescription
from distil_dagster.data.messages import Frozen
from distil_dagster.llm.requests import Answered, Failed, Request
from distil_dagster.progress import Progress
from distil_dagster.prompts import render

PHASE = "judging"
SCHEMA_NAME = "verdict"
_BLOCK_TAG = re.compile(r"<(?=/?(?:job|instructions|context|question|reference|prediction)\b)", re.IGNORECASE)


class Verdict(Frozen):
    """What the judge answers; the reason comes first, so that the verdict follows from it."""

    reason: str = Field(description="Why the prediction is good or bad, in one or two sentences.")
    verdict: Literal["good", "bad"] = Field(description="The verdict.")


@dataclass(frozen=True)
class JudgeCase:
    """What the judge sees of one row."""

    question: str
    reference: str
    prediction: str
    context: str | None = None


@dataclass(frozen=True)
class Judged:
    """A verdict that was read."""

    good: bool
    reason: str

    @property
    def score(self) -> float:
        """1.0 for good, 0.0 for bad."""
        return 1.0 if self.good else 0.0


@dataclass(frozen=True)
class Unread:
    """A verdict that could not be had: no answer, or one that is no verdict."""

    reason: str


class Asks(Protocol):
    """The part of the request layer that judging needs."""

    def ask(self, requests: Sequence[Request], phase: str, progress: Progress | None = None) -> list[Answered | Failed]:
        """One answer or failure a request, in the order of the requests."""


class RecallsToo(Asks, Protocol):
    """A client that can also answer from its journal alone."""

    def recall(
        self, requests: Sequence[Request], phase: str, progress: Progress | None = None
    ) -> list[Answered | Failed]:
        """One answer that was bought before, or failure, a request."""


@dataclass(frozen=True)
class FromJournal:
    """A client's journal, asked as the client is: what it does not hold is not bought."""

    client: RecallsToo

    def ask(self, requests: Sequence[Request], phase: str, progress: Progress | None = None) -> list[Answered | Failed]:
        """One answer or failure a request, in the order of the requests."""
        return self.client.recall(requests, phase, progress)


@dataclass(frozen=True)
class Judge:
    """A judge for one job: the client to ask through, the catalogue name of the model, and how it is sampled."""

    client: Asks
    model: str
    job: JobDescription
    temperature: float | None = 0.0
    max_tokens: int | None = None

    def judge(
        self, cases: Sequence[JudgeCase], phase: str = PHASE, progress: Progress | None = None
    ) -> list[Judged | Unread]:
        """One judgement a case, in the order of the cases. Equal cases are one paid request: the journal shares it."""
        answers = self.client.ask([self.request(case) for case in cases], phase, progress)
        return [_judgement(answer) for answer in answers]

    def request(self, case: JudgeCase) -> Request:
        """What is sent for one case."""
        return Request(
            model=self.model,
            messages=({"role": "user", "content": judge_prompt(self.job, case)},),
            schema=Verdict,
            schema_name=SCHEMA_NAME,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
        )


def judge_prompt(job: JobDescription, case: JudgeCase) -> str:
    """The judge's prompt. A prediction cannot close its own block: a student in training would learn to."""
    contained = JudgeCase(
        question=_contained(case.question),
        reference=_contained(case.reference),
        prediction=_contained(case.prediction),
        context=None if case.context is None else _contained(case.context),
    )
    return render("evaluation/judge", job=job, case=contained)


def _contained(text: str) -> str:
    """The text with the tags of the prompt's own blocks made harmless."""
    return _BLOCK_TAG.sub("&lt;", text)


def _judgement(answer: Answered | Failed) -> Judged | Unread:
    if isinstance(answer, Failed):
        return Unread(f"{answer.reason}: {answer.detail}")
    if not isinstance(answer.parsed, Verdict):
        return Unread(f"not a verdict: {answer.text[:200]}")
    return Judged(good=answer.parsed.verdict == "good", reason=answer.parsed.reason)
