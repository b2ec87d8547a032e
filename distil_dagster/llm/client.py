"""The one client of all paid answers: `ask(requests) -> answers`, synchronous outside, asynchronous inside."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from distil_dagster.errors import BudgetError
from distil_dagster.llm.answers import RawAnswer
from distil_dagster.llm.background import BackgroundLoop
from distil_dagster.llm.budget import Budget
from distil_dagster.llm.buying import Buyer, Lane, Order
from distil_dagster.llm.journal import Journal, SqliteJournal
from distil_dagster.llm.pacing import Patience
from distil_dagster.llm.provider import Provider
from distil_dagster.llm.reading import ToRepair, after_repair, read_answer, repair_request
from distil_dagster.llm.requests import Answered, Failed, Request, Route
from distil_dagster.progress import Progress

if TYPE_CHECKING:
    from distil_dagster.config.pipeline import PipelineConfig

_SECONDS_FOR_REQUESTS_IN_FLIGHT = 30.0


@dataclass(frozen=True)
class Counts:
    """How many answers a phase bought, and how many it found in the journal."""

    bought: int
    from_journal: int


class Client:
    """Asks models, and never pays twice for the same request.

    `routes` gives the route of a catalogue name. At most `parallel_requests` are in flight for one provider or address.
    `budget_usd` caps what the journal as a whole has cost, earlier runs included. Threads may share a client.
    """

    def __init__(
        self,
        journal: Journal,
        routes: Callable[[str], Route],
        parallel_requests: int,
        budget_usd: float | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._journal = journal
        self._routes = routes
        self._parallel_requests = parallel_requests
        self._patience = patience or Patience()
        self._provider = Provider()
        self._budget = Budget(budget_usd, journal.spend() if budget_usd is not None else 0.0)
        self._buyer = Buyer(self._provider, journal, self._budget, self._patience)
        self._lanes: dict[str, Lane] = {}
        self._loop = BackgroundLoop("llm-client")
        self._bought: Counter[str] = Counter()
        self._found: Counter[str] = Counter()
        self._spent: defaultdict[str, float] = defaultdict(float)

    def ask(
        self, requests: Sequence[Request], phase: str, progress: Progress | None = None
    ) -> list[Answered | Failed]:
        """One answer or failure for each request, in their order; `phase` names the purpose in the journal.

        Equal requests are sent once. An answer that does not fit its schema is asked for once more.

        Raises:
            ProviderError: a provider fails persistently, or a route is wrong.
            BudgetError: the next request could exceed the budget.
        """
        orders = [Order.of(request, self._routes(request.model)) for request in requests]
        if not orders:
            return []
        return self._loop.run(self._ask(orders, phase, progress))

    def spent_usd(self, phase: str | None = None) -> float:
        """What this client has paid, for one phase or in all, in US dollars."""
        return sum(self._spent.values()) if phase is None else self._spent.get(phase, 0.0)

    def counts(self, phase: str) -> Counts:
        """How many answers this client bought for a phase, and how many it found in the journal."""
        return Counts(bought=self._bought[phase], from_journal=self._found[phase])

    def close(self) -> None:
        """Close connections and journal; answers that are still being stored are stored first."""
        self._loop.run(self._provider.close())
        self._loop.close()
        self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def _ask(self, orders: list[Order], phase: str, progress: Progress | None) -> list[Answered | Failed]:
        stored = await asyncio.to_thread(self._journal.get_many, [order.key for order in orders])
        copies = Counter(order.key for order in orders)
        results: dict[str, Answered | Failed] = {}

        def settle(order: Order, result: Answered | Failed) -> None:
            results[order.key] = result
            if progress is not None:
                progress.advance(copies[order.key])

        unsettled: dict[str, deque[Order]] = defaultdict(deque)
        for order in {order.key: order for order in orders}.values():
            reading = self._read_stored(order, stored.get(order.key), phase)
            if reading is None or isinstance(reading, ToRepair):
                unsettled[order.lane].append(order)
            else:
                settle(order, reading)

        async def work(queue: deque[Order], lane: Lane) -> None:
            while queue:
                order = queue.popleft()
                settle(order, await self._answer(order, stored.get(order.key), phase, lane))

        await self._run_workers(unsettled, work)
        return _in_order(orders, results)
