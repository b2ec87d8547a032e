"""One call of `ask`: what the journal holds is read, what others buy is waited for, the rest is bought."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from distil_dagster.errors import BudgetError
from distil_dagster.llm.answers import RawAnswer
from distil_dagster.llm.buying import Buys, Got, Lane, Order
from distil_dagster.llm.journal import Held, Journal
from distil_dagster.llm.reading import ToRepair, after_repair, read_answer, repair_request
from distil_dagster.llm.requests import Answered, Failed
from distil_dagster.progress import Progress

_SECONDS_FOR_REQUESTS_IN_FLIGHT = 30.0
_FIRST_SECONDS_TO_WAIT_FOR_OTHERS = 0.1
_MOST_SECONDS_TO_WAIT_FOR_OTHERS = 1.0


@dataclass(frozen=True)
class Counts:
    """How many answers a phase bought, and how many it found in the journal."""

    bought: int
    from_journal: int


@dataclass
class Tally:
    """What each phase of one client bought and found; only the client's event loop writes to it."""

    bought: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    usd: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def counts(self, phase: str) -> Counts:
        """The answers of one phase."""
        return Counts(bought=self.bought[phase], from_journal=self.found[phase])

    def spent_usd(self, phase: str | None) -> float:
        """The money of one phase, or of all."""
        return sum(self.usd.values()) if phase is None else self.usd.get(phase, 0.0)


@dataclass
class _Queue:
    """The orders of one lane: those to be tried, and those that others were buying when it was tried."""

    untried: deque[Order] = field(default_factory=deque)
    elsewhere: deque[Order] = field(default_factory=deque)

    def clear(self) -> None:
        self.untried.clear()
        self.elsewhere.clear()


class Asking:
    """The orders of one call on their way to results."""

    def __init__(
        self,
        buyer: Buys,
        journal: Journal,
        lanes: Callable[[str], Lane],
        tally: Tally,
        phase: str,
        progress: Progress | None,
    ) -> None:
        self._buyer = buyer
        self._journal = journal
        self._lanes = lanes
        self._tally = tally
        self._phase = phase
        self._progress = progress
        self._stored: dict[str, RawAnswer] = {}
        self._results: dict[str, Answered | Failed] = {}
        self._copies: Counter[str] = Counter()
        self._stopping = False

    async def run(self, orders: Sequence[Order]) -> list[Answered | Failed]:
        """One result for each order, in their order."""
        self._copies = Counter(order.key for order in orders)
        self._stored = await asyncio.to_thread(self._journal.get_many, list(self._copies))
        queues: defaultdict[str, _Queue] = defaultdict(_Queue)
        for order in {order.key: order for order in orders}.values():
            if not self._settled_by_journal(order):
                queues[order.lane].untried.append(order)
        await self._work_off(queues)
        return list(self._in_order(orders))

    def _settled_by_journal(self, order: Order) -> bool:
        stored = self._stored.get(order.key)
        if stored is None:
            return False
        reading = read_answer(order.request, stored, order.key, from_journal=True)
        if isinstance(reading, ToRepair):
            return False
        self._tally.found[self._phase] += 1
        self._settle(order, reading)
        return True

    def _settle(self, order: Order, result: Answered | Failed) -> None:
        self._results[order.key] = result
        if self._progress is not None:
            self._progress.advance(self._copies[order.key])

    async def _work_off(self, queues: dict[str, _Queue]) -> None:
        """Work all queues off together; after an error, wait for what is in flight, for it is being paid."""
        workers = [
            asyncio.create_task(self._work(queue, lane))
            for lane, queue in ((self._lanes(name), queue) for name, queue in queues.items())
            for _ in range(min(len(queue.untried), lane.workers))
        ]
        if not workers:
            return
        try:
            done, running = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
            error = next((worker.exception() for worker in done if worker.exception()), None)
            if error is not None:
                self._stopping = True
                for queue in queues.values():
                    queue.clear()
                patience = None if isinstance(error, BudgetError) else _SECONDS_FOR_REQUESTS_IN_FLIGHT
                if running:
                    await asyncio.wait(running, timeout=patience)
                raise error
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self, queue: _Queue, lane: Lane) -> None:
        """Work through a queue; what others buy comes last, so that who asks the same shares the work."""
        while queue.untried:
            order = queue.untried.popleft()
            got = await self._get(order, self._stored.get(order.key), lane)
            if isinstance(got, Held):
                queue.elsewhere.append(order)
            else:
                self._settle(order, await self._answer(order, got, lane))
        while queue.elsewhere:
            order = queue.elsewhere.popleft()
            self._settle(order, await self._answer(order, await self._get_or_wait(order, None, lane), lane))

    async def _answer(self, order: Order, got: Got | Failed, lane: Lane) -> Answered | Failed:
        """Read what came for an order, and ask once more where it does not fit."""
        if isinstance(got, Failed):
            return got
        reading = read_answer(order.request, got.answer, order.key, got.from_journal)
        if not isinstance(reading, ToRepair):
            return reading
        repair = Order.of(repair_request(order.request, got.answer, reading.problem), order.route)
        stored = await asyncio.to_thread(self._journal.get_many, [repair.key])
        again = await self._get_or_wait(repair, stored.get(repair.key), lane)
        if isinstance(again, Failed):
            return again
        result = after_repair(repair.request, again.answer, repair.key, again.from_journal)
        if isinstance(result, Failed):
            return result
        return replace(result, cost_usd=_sum(got.answer.cost_usd, again.answer.cost_usd))

    async def _get_or_wait(self, order: Order, stored: RawAnswer | None, lane: Lane) -> Got | Failed:
        """The answer to an order; while others buy it, wait for theirs, and try again where they fail."""
        pause = _FIRST_SECONDS_TO_WAIT_FOR_OTHERS
        while isinstance(got := await self._get(order, stored, lane), Held):
            await asyncio.sleep(pause)
            if self._stopping:
                return Failed("not_bought", "others were buying it when this call ended", order.key)
            pause = min(2 * pause, _MOST_SECONDS_TO_WAIT_FOR_OTHERS)
        return got

    async def _get(self, order: Order, stored: RawAnswer | None, lane: Lane) -> Got | Held | Failed:
        """The answer to an order, from the journal or bought."""
        got = Got(stored, True) if stored is not None else await self._buyer.buy(order, self._phase, lane)
        if isinstance(got, Got) and got.from_journal:
            self._tally.found[self._phase] += 1
        elif isinstance(got, Got):
            self._tally.bought[self._phase] += 1
            self._tally.usd[self._phase] += got.answer.cost_usd or 0.0
        return got

    def _in_order(self, orders: Sequence[Order]) -> Iterable[Answered | Failed]:
        """The results as they were asked for; the second of two equal requests cost nothing."""
        given: set[str] = set()
        for order in orders:
            result = self._results[order.key]
            repeated = order.key in given
            given.add(order.key)
            yield replace(result, from_journal=True) if repeated and isinstance(result, Answered) else result


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None and other is None else (one or 0.0) + (other or 0.0)
