"""How many requests a route takes at once, when it is left alone, and when it is given up.

A route's limit halves when the provider refuses, and rises by one after a full round of answers (additive increase,
multiplicative decrease). A rise that is refused goes back to the limit that was known to be taken, and the next rise
waits twice as long: every refusal that carries `Retry-After` costs the whole route that pause.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from distil_dagster.errors import ProviderError

_MOST_ROUNDS_BETWEEN_RISES = 64
_KEPT = "Everything bought so far is kept: run again once the provider answers"


@dataclass(frozen=True)
class Patience:
    """How long to hold on to a request that gets no answer; all times in seconds.

    A request is sent up to `attempts` times within `deadline_seconds`, each attempt taking up to `attempt_seconds`; the
    pause between them doubles from `first_delay` to `longest_delay`, with jitter. `stop_after` requests given up with
    no answer in between end the run; so does a provider that cannot be reached, after
    `attempts_before_first_answer` where it never answered.
    """

    attempts: int = 8
    attempts_before_first_answer: int = 4
    attempt_seconds: float = 600.0
    deadline_seconds: float = 1800.0
    first_delay: float = 0.5
    longest_delay: float = 30.0
    stop_after: int = 5

    def delay(self, attempt: int) -> float:
        """Seconds to wait after failed attempt number `attempt` (from 1), between half and all of the doubled pause."""
        pause = min(self.longest_delay, self.first_delay * 2.0 ** (attempt - 1))
        return pause * random.uniform(0.5, 1.0)


@dataclass(frozen=True)
class Slot:
    """Leave to have one request in flight, since `started` on the monotonic clock."""

    started: float


class Pacer:
    """Leave to send for one route: at most `limit` requests in flight, none while it is paused."""

    def __init__(self, most: int) -> None:
        self.limit = most
        self._most = most
        self._in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._paused_until = 0.0
        self._end_of_pause: asyncio.TimerHandle | None = None
        self._last_fall = 0.0
        self._answers = 0
        self._rounds_between_rises = 1
        self._rise_on_trial = False

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[Slot]:
        """Wait until the route takes one more request, and hold its place."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            self._forget(turn)
            raise
        try:
            yield Slot(started=time.monotonic())
        finally:
            self._in_flight -= 1
            self._admit()

    def answered(self) -> None:
        """Count an answer; after enough of them the limit rises by one."""
        self._answers += 1
        if self._rise_on_trial and self._answers >= self.limit:
            self._rise_on_trial = False
            self._rounds_between_rises = 1
        if self.limit < self._most and self._answers >= self.limit * self._rounds_between_rises:
            self.limit += 1
            self._answers = 0
            self._rise_on_trial = True

    def refused(self, slot: Slot, retry_after: float | None) -> None:
        """Lower the limit, once for all requests that were in flight together, and pause as the provider asks."""
        now = time.monotonic()
        if retry_after is not None:
            self._paused_until = max(self._paused_until, now + retry_after)
        if slot.started <= self._last_fall:
            return
        self._last_fall = now
        self._answers = 0
        if self._rise_on_trial:
            self.limit -= 1
            self._rounds_between_rises = min(2 * self._rounds_between_rises, _MOST_ROUNDS_BETWEEN_RISES)
        else:
            self.limit = max(1, self.limit // 2)
            self._rounds_between_rises = 1
        self._rise_on_trial = False

    def _admit(self) -> None:
        """Give free places to those who wait, in the order in which they came."""
        if not self._waiting or self._in_flight >= self.limit:
            return
        pause = self._paused_until - time.monotonic()
        if pause > 0:
            if self._end_of_pause is None:
                self._end_of_pause = asyncio.get_running_loop().call_later(pause, self._pause_ended)
            return
        while self._waiting and self._in_flight < self.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self._in_flight += 1
                turn.set_result(None)

    def _pause_ended(self) -> None:
        self._end_of_pause = None
        self._admit()

    def _forget(self, turn: asyncio.Future[None]) -> None:
        """Give back the place of one who was admitted and cancelled at the same moment."""
        if turn.done() and not turn.cancelled():
            self._in_flight -= 1
            self._admit()


class Circuit:
    """Whether a route is still worth trying: closed with an error once the provider fails persistently."""

    def __init__(self, patience: Patience) -> None:
        self.answers = 0
        self.error: ProviderError | None = None
        self._patience = patience
        self._given_up = 0
        self._opened = asyncio.Event()

    def answered(self) -> None:
        """Count an answer: whatever failed before it was passing."""
        self.answers += 1
        self._given_up = 0

    def allowed_attempts(self, unreachable: bool) -> int:
        """How often one request is sent before it is given up."""
        patience = self._patience
        return patience.attempts_before_first_answer if unreachable and not self.answers else patience.attempts

    def gave_up(self, route: str, detail: str, unreachable: bool) -> None:
        """Count a request given up; open the circuit where the next would fare no better."""
        self._given_up += 1
        if unreachable:
            self.open(ProviderError(f"{route} cannot be reached: {detail}. {_KEPT}"))
        elif self._given_up >= self._patience.stop_after:
            self.open(
                ProviderError(f"{route} failed {self._given_up} requests in a row; the last one: {detail}. {_KEPT}")
            )

    def rejected(self, route: str, detail: str) -> None:
        """Count a request that the provider rejects; before the first answer, many of them mean a wrong route."""
        if not self.answers:
            self.gave_up(route, detail, unreachable=False)

    def open(self, error: ProviderError) -> None:
        """Stop every request of the route; the first error is the one that is told."""
        self.error = self.error or error
        self._opened.set()

    def check(self) -> None:
        """Raise the error that opened the circuit, if one did."""
        if self.error is not None:
            raise self.error

    async def sleep(self, seconds: float) -> None:
        """Sleep, but wake when the circuit opens."""
        try:
            await asyncio.wait_for(self._opened.wait(), timeout=seconds)
        except TimeoutError:
            return
