"""One request on its way: claimed, sent, refused, sent again, until its answer is in the journal or it is given up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from distil_dagster.errors import ProviderError
from distil_dagster.llm.answers import RawAnswer
from distil_dagster.llm.budget import Budget
from distil_dagster.llm.journal import Claimed, Entry, Held, Journal
from distil_dagster.llm.outcomes import Denied, Outcome, Refusal, Rejection, Trouble
from distil_dagster.llm.pacing import Circuit, Pacer, Patience
from distil_dagster.llm.provider import Provider, explain_denial
from distil_dagster.llm.requests import Failed, Request, Route, canonical_json, request_body, request_key


@dataclass(frozen=True)
class Order:
    """A request with its route, its body (also as canonical JSON), and the key under which its answer is kept."""

    request: Request
    route: Route
    body: Mapping[str, Any]
    body_text: str
    key: str

    @classmethod
    def of(cls, request: Request, route: Route) -> Order:
        """The order for a request over a route."""
        body = request_body(request, route)
        text = canonical_json(body)
        return cls(request=request, route=route, body=body, body_text=text, key=request_key(text))

    @property
    def model(self) -> str:
        """The litellm model string."""
        return str(self.body["model"])

    @property
    def lane(self) -> str:
        """What shares one pace: a provider, or one address."""
        return f"{self.model.split('/', 1)[0]} {self.route.base_url or ''}".strip()


class Lane:
    """The pace of one provider route, and whether it is still worth trying."""

    def __init__(self, parallel_requests: int, patience: Patience) -> None:
        self.pacer = Pacer(parallel_requests)
        self.circuit = Circuit(patience)
        # Twice the limit: while some wait after a failure, others keep the route busy.
        self.workers = 2 * parallel_requests


@dataclass
class _Try:
    """Where one order stands: when it has to be answered, how often it failed, what the lane had answered by then."""

    deadline: float
    failed_attempts: int = 0
    answers_seen: int = 0
    last: Refusal | Trouble | None = None


@dataclass(frozen=True)
class Got:
    """An answer; `from_journal` where another had bought it since the journal was read."""

    answer: RawAnswer
    from_journal: bool


class Buys(Protocol):
    """Gets what the journal does not have."""

    async def buy(self, order: Order, phase: str, lane: Lane) -> Got | Held | Failed:
        """The answer to an order, or why there is none; `Held` while another buys it."""


class BuysNothing:
    """Leaves every order without an answer, and so costs nothing."""

    async def buy(self, order: Order, phase: str, lane: Lane) -> Failed:  # noqa: ARG002 - the protocol's signature
        """Say that it was not bought."""
        return Failed("not_bought", "the journal has no such answer, and this run buys none", order.key)


class Buyer:
    """Buys answers: paced, within the budget, and stored before anyone sees them."""

    def __init__(self, provider: Provider, journal: Journal, budget: Budget, patience: Patience) -> None:
        self._provider = provider
        self._journal = journal
        self._budget = budget
        self._patience = patience

    async def buy(self, order: Order, phase: str, lane: Lane) -> Got | Held | Failed:
        """Claim an order, and send it until it is answered or hopeless; an answer is in the journal when this returns.

        Raises:
            ProviderError: the route fails as a whole.
            BudgetError: the order could exceed the budget.
        """
        claim = await self._claim(order.key)
        if isinstance(claim, Held):
            return claim
        if isinstance(claim, RawAnswer):
            return Got(claim, from_journal=True)
        try:
            bought = await self._send_until_settled(order, phase, lane)
        except BaseException:
            self._journal.release(order.key)
            raise
        if isinstance(bought, Failed):
            self._journal.release(order.key)
            return bought
        return Got(bought, from_journal=False)

    async def _claim(self, key: str) -> Claimed | Held | RawAnswer:
        claim = self._journal.claim(key)
        try:
            return await asyncio.wrap_future(claim)
        except asyncio.CancelledError:
            claim.add_done_callback(lambda done: self._release_unwanted(key, done))
            raise

    def _release_unwanted(self, key: str, claim: Future[Claimed | Held | RawAnswer]) -> None:
        if claim.exception() is None and isinstance(claim.result(), Claimed):
            self._journal.release(key)

    async def _send_until_settled(self, order: Order, phase: str, lane: Lane) -> RawAnswer | Failed:
        state: _Try | None = None
        while True:
            outcome, state = await self._attempt(order, phase, lane, state)
            match outcome:
                case RawAnswer():
                    return outcome
                case Rejection(reason, detail):
                    lane.circuit.rejected(order.lane, detail)
                    return Failed(reason, detail, order.key)
                case Denied():
                    lane.circuit.open(explain_denial(order.request.model, order.model, order.route, outcome))
                    lane.circuit.check()
                case Refusal() | Trouble():
                    failed = await self._wait_after(outcome, order, lane, state)
                    if failed is not None:
                        return failed

    async def _attempt(self, order: Order, phase: str, lane: Lane, state: _Try | None) -> tuple[Outcome, _Try]:
        """Send once, as soon as the pace and the budget allow; the deadline runs from the first time.

        An answer keeps its place in flight until it is stored: what a killed run loses is never more than the limit.
        """
        async with lane.pacer.slot() as slot:
            lane.circuit.check()
            state = state or _Try(slot.started + self._patience.deadline_seconds, answers_seen=lane.circuit.answers)
            left = state.deadline - slot.started
            if state.last is not None and left <= 0:
                return state.last, state
            async with self._budget.reserve(self._worst_case_usd(order)) as reservation:
                seconds = min(self._patience.attempt_seconds, left)
                outcome = await self._provider.send(order.body, order.route, seconds)
                if isinstance(outcome, RawAnswer):
                    reservation.actual = outcome.cost_usd or 0.0
                    lane.pacer.answered()
                    lane.circuit.answered()
                    entry = Entry(order.key, phase, order.model, order.body_text, outcome)
                    await asyncio.wrap_future(self._journal.put(entry))
            if isinstance(outcome, Refusal):
                lane.pacer.refused(slot, self._bearable(outcome, order, lane))
            return outcome, state

    def _worst_case_usd(self, order: Order) -> float:
        # No token is shorter than a byte.
        return self._provider.worst_case_usd(order.body, len(order.body_text), order.route)

    def _bearable(self, refusal: Refusal, order: Order, lane: Lane) -> float | None:
        """The pause that a refusal asks for; one beyond every deadline means that the provider is done with us."""
        pause = refusal.retry_after
        if pause is None or pause <= self._patience.deadline_seconds:
            return pause
        lane.circuit.open(
            ProviderError(
                f"{order.lane} asks to be left alone for {pause:.0f} s ({refusal.detail}). "
                "Everything bought so far is kept: run again after that time"
            )
        )
        return None

    async def _wait_after(self, outcome: Refusal | Trouble, order: Order, lane: Lane, state: _Try) -> Failed | None:
        """Pause before the next attempt, or give the order up.

        A refusal counts as a failed attempt only where nothing else got through: a busy provider is no broken one.
        """
        passed_others = lane.circuit.answers > state.answers_seen
        state.answers_seen = lane.circuit.answers
        state.last = outcome
        if isinstance(outcome, Trouble) or not passed_others:
            state.failed_attempts += 1
        unreachable = isinstance(outcome, Trouble) and outcome.kind == "unreachable"
        delay = self._patience.delay(max(1, state.failed_attempts))
        hopeless = state.failed_attempts >= lane.circuit.allowed_attempts(unreachable)
        if hopeless or time.monotonic() + delay >= state.deadline:
            lane.circuit.gave_up(order.lane, outcome.detail, unreachable)
            lane.circuit.check()
            timed_out = isinstance(outcome, Trouble) and outcome.kind == "timeout"
            return Failed("timeout" if timed_out else "provider_error", outcome.detail, order.key)
        await lane.circuit.sleep(delay)
        lane.circuit.check()
        return None
