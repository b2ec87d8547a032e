from __future__ import annotations

import asyncio
import threading

import pytest

from distil_dagster.errors import BudgetError
from distil_dagster.llm.budget import Budget


async def spend(budget, worst_case, actual, started=None, gate=None):
    async with budget.reserve(worst_case) as reservation:
        if started is not None:
            started.append(worst_case)
        if gate is not None:
            await gate.wait()
        reservation.actual = actual


def test_without_a_cap_everything_fits():
    asyncio.run(spend(Budget(None), worst_case=1e9, actual=1e9))


def test_what_was_spent_before_counts():
    async def run():
        budget = Budget(1.0, lambda: 0.8)
        await spend(budget, 0.2, 0.1)
        with pytest.raises(BudgetError, match=r"budget_usd is 1\.0000, 0\.9000 is spent .* up to 0\.2000"):
            await spend(budget, 0.2, 0.1)
        await spend(budget, 0.1, 0.1)
        assert budget.spent == pytest.approx(1.0)

    asyncio.run(run())


def test_a_call_waits_for_those_in_flight_when_only_their_worst_case_stands_in_its_way():
    async def run():
        budget, started, gate = Budget(1.0), [], asyncio.Event()
        calls = [asyncio.create_task(spend(budget, 0.6, 0.01, started, gate)) for _ in range(4)]
        await asyncio.sleep(0.01)
        assert started == [0.6]
        gate.set()
        await asyncio.gather(*calls)
        assert started == [0.6] * 4
        assert budget.spent == pytest.approx(0.04)

    asyncio.run(run())


def test_all_who_wait_learn_that_the_budget_is_exhausted():
    async def run():
        budget, started, gate = Budget(1.0), [], asyncio.Event()
        calls = [asyncio.create_task(spend(budget, 0.6, 0.6, started, gate)) for _ in range(3)]
        await asyncio.sleep(0.01)
        gate.set()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [type(None), BudgetError, BudgetError]

    asyncio.run(run())


def test_a_failed_call_gives_back_what_was_set_aside():
    async def run():
        budget = Budget(1.0)
        with pytest.raises(RuntimeError):
            async with budget.reserve(0.9):
                raise RuntimeError
        await spend(budget, 0.9, 0.9)
        assert budget.spent == pytest.approx(0.9)

    asyncio.run(run())


def test_a_cap_of_zero_lets_free_calls_pass():
    async def run():
        budget = Budget(0.0)
        await spend(budget, 0.0, 0.0)
        with pytest.raises(BudgetError):
            await spend(budget, 0.001, 0.0)

    asyncio.run(run())


def test_what_others_spend_meanwhile_counts():
    async def run():
        recorded = [0.0]
        budget = Budget(1.0, lambda: recorded[0], reread_seconds=0)
        await spend(budget, 0.5, 0.3)
        recorded[0] = 0.3 + 0.4
        await spend(budget, 0.3, 0.1)
        recorded[0] += 0.1
        with pytest.raises(BudgetError, match=r"0\.8000 is spent"):
            await spend(budget, 0.3, 0.1)

    asyncio.run(run())


def test_the_record_is_read_no_more_often_than_said():
    async def run():
        readings = []
        budget = Budget(1.0, lambda: readings.append(1) or 0.0, reread_seconds=60)
        await asyncio.gather(*(spend(budget, 0.1, 0.1) for _ in range(5)))
        assert len(readings) == 1
        assert budget.spent == pytest.approx(0.5)

    asyncio.run(run())


def test_what_is_settled_while_the_record_is_read_counts():
    async def run():
        reading, go_on = threading.Event(), threading.Event()

        def nothing_yet():
            return 0.0

        def slowly():
            reading.set()
            go_on.wait(10)
            return 0.1

        readings = iter((nothing_yet, slowly))
        budget, gate = Budget(1.0, lambda: next(readings)(), reread_seconds=0), asyncio.Event()
        first = asyncio.create_task(spend(budget, 0.4, 0.4, gate=gate))
        await asyncio.sleep(0.05)
        second = asyncio.create_task(spend(budget, 0.6, 0.0))
        await asyncio.to_thread(reading.wait, 10)
        gate.set()
        await first
        go_on.set()
        # 0.1 of others, 0.4 of the first, 0.6 at most of the second.
        with pytest.raises(BudgetError, match=r"0\.5000 is spent"):
            await second

    asyncio.run(run())
