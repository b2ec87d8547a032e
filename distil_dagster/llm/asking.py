"""One call of `ask`: what the journal holds is read, the rest is bought, equal requests once."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from distil_dagster.errors import BudgetError
from distil_dagster.llm.answers import RawAnswer
from distil_dagster.llm.buying import Buys, Lane, Order
from distil_dagster.llm.journal import Journal
from distil_dagster.llm.reading import ToRepair, after_repair, read_answer, repair_request
from distil_dagster.llm.requests import Answered, Failed
from distil_dagster.progress import Progress

_SECONDS_FOR_REQUESTS_IN_FLIGHT = 30.0


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

    async def run(self, orders: Sequence[Order]) -> list[Answered | Failed]:
        """One result for each order, in their order."""
        self._copies = Counter(order.key for order in orders)
        self._stored = await asyncio.to_thread(self._journal.get_many, list(self._copies))
        queues: defaultdict[str, deque[Order]] = defaultdict(deque)
        for order in {order.key: order for order in orders}.values():
            if not self._settled_by_journal(order):
                queues[order.lane].append(order)
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

    async def _work_off(self, queues: dict[str, deque[Order]]) -> None:
        """Work all queues off together; after an error, wait for what is in flight, for it is being paid."""
        workers = [
            asyncio.create_task(self._work(queue, lane))
            for lane, queue in ((self._lanes(name), queue) for name, queue in queues.items())
            for _ in range(min(len(queue), lane.workers))
        ]
        if not workers:
            return
        try:
            done, running = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
            error = next((worker.exception() for worker in done if worker.exception()), None)
            if error is not None:
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

    async def _work(self, queue: deque[Order], lane: Lane) -> None:
        while queue:
            order = queue.popleft()
            self._settle(order, await self._answer(order, lane))

    async def _answer(self, order: Order, lane: Lane) -> Answered | Failed:
        """Get an order's answer, and ask once more where it does not fit."""
        raw, from_journal = await self._get(order, self._stored.get(order.key), lane)
        if isinstance(raw, Failed):
            return raw
        reading = read_answer(order.request, raw, order.key, from_journal)
        if not isinstance(reading, ToRepair):
            return reading
        repair = Order.of(repair_request(order.request, raw, reading.problem), order.route)
        stored = await asyncio.to_thread(self._journal.get_many, [repair.key])
        again, from_journal = await self._get(repair, stored.get(repair.key), lane)
        if isinstance(again, Failed):
            return again
        result = after_repair(repair.request, again, repair.key, from_journal)
        return replace(result, cost_usd=_sum(raw.cost_usd, again.cost_usd)) if isinstance(result, Answered) else result

    async def _get(self, order: Order, stored: RawAnswer | None, lane: Lane) -> tuple[RawAnswer | Failed, bool]:
        """The answer to an order, and whether it was in the journal already."""
        if stored is not None:
            self._tally.found[self._phase] += 1
            return stored, True
        answer = await self._buyer.buy(order, self._phase, lane)
        if isinstance(answer, RawAnswer):
            self._tally.bought[self._phase] += 1
            self._tally.usd[self._phase] += answer.cost_usd or 0.0
        return answer, False

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
