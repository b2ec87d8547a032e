"""The one client of all paid answers: `ask(requests) -> answers`, synchronous outside, asynchronous inside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from distil_dagster.llm.asking import Asking, Counts, Tally
from distil_dagster.llm.background import BackgroundLoop
from distil_dagster.llm.budget import Budget
from distil_dagster.llm.buying import Buyer, Buys, BuysNothing, Lane, Order
from distil_dagster.llm.journal import Journal, Paid, open_journal
from distil_dagster.llm.pacing import Patience
from distil_dagster.llm.provider import Provider
from distil_dagster.llm.requests import Answered, Failed, Request, Route
from distil_dagster.progress import Progress

if TYPE_CHECKING:
    from distil_dagster.config.pipeline import PipelineConfig


class Client:
    """Asks models, and never pays twice for the same request.

    `routes` gives the route of a catalogue name. At most `parallel_requests` are in flight for one provider or address.
    `budget_usd` caps what the journal as a whole has cost, earlier runs and, up to a delay, other clients included.
    Threads may share a client.
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
        self._budget = Budget(budget_usd, journal.spend)
        self._buyer = Buyer(self._provider, journal, self._budget, self._patience)
        self._lanes: dict[str, Lane] = {}
        self._loop = BackgroundLoop("llm-client")
        self._tally = Tally()

    def ask(self, requests: Sequence[Request], phase: str, progress: Progress | None = None) -> list[Answered | Failed]:
        """One answer or failure for each request, in their order; `phase` names the purpose in the journal.

        Equal requests are sent once. An answer that does not fit its schema is asked for once more.

        Raises:
            ProviderError: a provider fails persistently, or a route is wrong.
            BudgetError: the next request could exceed the budget.
        """
        return self._ask(self._buyer, requests, phase, progress)

    def recall(
        self, requests: Sequence[Request], phase: str, progress: Progress | None = None
    ) -> list[Answered | Failed]:
        """The same from the journal alone: what was never bought is a failure with the reason `not_bought`."""
        return self._ask(BuysNothing(), requests, phase, progress)

    def spent_usd(self, phase: str | None = None) -> float:
        """What this client has paid, for one phase or in all, in US dollars."""
        return self._tally.spent_usd(phase)

    def counts(self, phase: str) -> Counts:
        """How many answers this client bought for a phase, and how many it found in the journal."""
        return self._tally.counts(phase)

    def paid_by_phase(self) -> dict[str, Paid]:
        """What each phase has bought since the journal began, by this client and all before it."""
        return self._journal.paid_by_phase()

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

    def _ask(
        self, buyer: Buys, requests: Sequence[Request], phase: str, progress: Progress | None
    ) -> list[Answered | Failed]:
        orders = [Order.of(request, self._routes(request.model)) for request in requests]
        if not orders:
            return []
        asking = Asking(buyer, self._journal, self._lane, self._tally, phase, progress)
        return self._loop.run(asking.run(orders))

    def _lane(self, name: str) -> Lane:
        """The lane of that name; one that was given up in an earlier call gets a new chance."""
        lane = self._lanes.get(name)
        if lane is None or lane.circuit.error is not None:
            lane = self._lanes[name] = Lane(self._parallel_requests, self._patience)
        return lane


def open_client(config: PipelineConfig, folder: Path) -> Client:
    """The client of a configuration, with the shared journal of DISTIL_JOURNAL or its own in `folder`/journal.sqlite.

    Raises:
        DistilError: the journal cannot be opened.
    """
    from distil_dagster.config.catalogue import route_of

    return Client(
        journal=open_journal(folder),
        # Each reads the environment's files of routes.
        routes=cache(lambda name: route_of(name, config)),
        parallel_requests=config.base.llm_num_parallel_requests,
        budget_usd=config.data.budget_usd,
    )
