from __future__ import annotations

import asyncio

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
        budget = Budget(1.0, spent_usd=0.8)
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
