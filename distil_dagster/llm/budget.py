"""A cap on what is spent: the worst case of a call is set aside before it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from distil_dagster.errors import BudgetError


@dataclass
class Reservation:
    """Money set aside for one call; `actual` is what it came to, nothing until it is answered."""

    worst_case: float
    actual: float = 0.0


class Budget:
    """Money spent and set aside, in US dollars, against an optional cap.

    Worst cases are many times what calls come to. So a call that fits only if those in flight stay below their worst
    case waits for them, and the budget is exhausted when a call does not fit with nothing in flight.
    """

    def __init__(self, cap_usd: float | None, spent_usd: float = 0.0) -> None:
        self.spent = spent_usd
        self._cap = cap_usd
        self._reserved = 0.0
        self._in_flight = 0
        self._settled = asyncio.Condition()

    @asynccontextmanager
    async def reserve(self, worst_case: float) -> AsyncIterator[Reservation]:
        """Set the worst case of one call aside for as long as it is in flight.

        Raises:
            BudgetError: the call could exceed the cap.
        """
        if self._cap is None:
            yield Reservation(worst_case)
            return
        async with self._settled:
            await self._settled.wait_for(lambda: self._fits(worst_case) or self._in_flight == 0)
            if not self._fits(worst_case):
                raise self._exhausted(worst_case)
            self._reserved += worst_case
            self._in_flight += 1
        reservation = Reservation(worst_case)
        try:
            yield reservation
        finally:
            self._reserved -= worst_case
            self._in_flight -= 1
            self.spent += reservation.actual
            async with self._settled:
                self._settled.notify_all()

    def _fits(self, worst_case: float) -> bool:
        # Sums of many prices are inexact in the last digits.
        return self._cap is None or self.spent + self._reserved + worst_case <= self._cap + 1e-9

    def _exhausted(self, worst_case: float) -> BudgetError:
        return BudgetError(
            f"data.budget_usd is {self._cap:.4f}, {self.spent:.4f} is spent and the next request may cost up to "
            f"{worst_case:.4f} US dollars. Everything bought so far is kept: raise the budget and run again"
        )
