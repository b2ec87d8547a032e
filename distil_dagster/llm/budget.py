"""A cap on what is spent: the worst case of a call is set aside before it is sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from distil_dagster.errors import BudgetError

_REREAD_SECONDS = 2.0


@dataclass
class Reservation:
    """Money set aside for one call; `actual` is what it came to, nothing until it is answered."""

    worst_case: float
    actual: float = 0.0


class Budget:
    """Money spent and set aside, in US dollars, against an optional cap.

    Worst cases are many times what calls come to. So a call that fits only if those in flight stay below their worst
    case waits for them, and the budget is exhausted when a call does not fit with nothing in flight.

    `recorded` reads what is spent in all. Others may spend at the same time, so it is read again where the last reading
    is older than `reread_seconds`: together they can pass the cap by what they buy within that time.
    """

    def __init__(
        self, cap_usd: float | None, recorded: Callable[[], float] = float, reread_seconds: float = _REREAD_SECONDS
    ) -> None:
        self._cap = cap_usd
        self._recorded = recorded
        self._reread_seconds = reread_seconds
        self._read_at: float | None = None
        self._spent = 0.0
        self._spent_since_reading = 0.0
        self._reserved = 0.0
        self._in_flight = 0
        self._reading = asyncio.Lock()
        self._settled = asyncio.Condition()

    @property
    def spent(self) -> float:
        """What all have spent as far as this budget knows, and no less than what its own calls came to."""
        return self._spent + self._spent_since_reading

    @asynccontextmanager
    async def reserve(self, worst_case: float) -> AsyncIterator[Reservation]:
        """Set the worst case of one call aside until its answer is where `recorded` counts it.

        Raises:
            BudgetError: the call could exceed the cap.
        """
        if self._cap is None:
            yield Reservation(worst_case)
            return
        await self._read_when_due()
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
            self._spent_since_reading += reservation.actual
            async with self._settled:
                self._settled.notify_all()

    async def _read_when_due(self) -> None:
        async with self._reading:
            if self._read_at is not None and time.monotonic() < self._read_at + self._reread_seconds:
                return
            before = self._spent_since_reading
            self._spent = await asyncio.to_thread(self._recorded)
            # What was settled meanwhile may or may not be in it: it counts until the next reading.
            self._spent_since_reading -= before
            self._read_at = time.monotonic()

    def _fits(self, worst_case: float) -> bool:
        # Sums of many prices are inexact in the last digits.
        return self._cap is None or self.spent + self._reserved + worst_case <= self._cap + 1e-9

    def _exhausted(self, worst_case: float) -> BudgetError:
        return BudgetError(
            f"data.budget_usd is {self._cap:.4f}, {self.spent:.4f} is spent and the next request may cost up to "
            f"{worst_case:.4f} US dollars. Everything bought so far is kept: raise the budget and run again"
        )
