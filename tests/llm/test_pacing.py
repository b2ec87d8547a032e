from __future__ import annotations

import asyncio

import pytest

from distil_dagster.errors import ProviderError
from distil_dagster.llm.pacing import Circuit, Pacer, Patience, Slot

LATER = float("inf")


async def answer(pacer, count):
    for _ in range(count):
        async with pacer.slot():
            pacer.answered()


async def hold(pacer, seen, gate):
    async with pacer.slot():
        seen.append(len(seen))
        await gate.wait()


async def settled():
    for _ in range(20):
        await asyncio.sleep(0)


def test_no_more_than_the_limit_are_in_flight():
    async def run():
        pacer, seen, gate = Pacer(3), [], asyncio.Event()
        tasks = [asyncio.create_task(hold(pacer, seen, gate)) for _ in range(10)]
        await settled()
        assert len(seen) == 3
        gate.set()
        await asyncio.gather(*tasks)
        assert len(seen) == 10

    asyncio.run(run())


def test_a_refusal_halves_the_limit_once_for_all_that_were_in_flight_together():
    async def run():
        pacer = Pacer(64)
        async with pacer.slot() as one, pacer.slot() as other:
            pacer.refused(one, None)
            pacer.refused(other, None)
        assert pacer.limit == 32
        for expected in (16, 8, 4, 2, 1, 1):
            pacer.refused(Slot(LATER), None)
            assert pacer.limit == expected

    asyncio.run(run())


def test_the_limit_rises_by_one_after_a_full_round_of_answers():
    async def run():
        pacer = Pacer(8)
        pacer.refused(Slot(LATER), None)
        assert pacer.limit == 4
        await answer(pacer, 3)
        assert pacer.limit == 4
        await answer(pacer, 1)
        assert pacer.limit == 5
        await answer(pacer, 5 + 6 + 7)
        assert pacer.limit == 8
        await answer(pacer, 100)
        assert pacer.limit == 8

    asyncio.run(run())


def test_a_refused_rise_goes_back_one_step_and_the_next_waits_twice_as_long():
    async def run():
        pacer = Pacer(8)
        pacer.refused(Slot(LATER), None)
        for rounds in (1, 2, 4, 8):
            await answer(pacer, 4 * rounds - 1)
            assert pacer.limit == 4
            await answer(pacer, 1)
            assert pacer.limit == 5
            pacer.refused(Slot(LATER), None)
            assert pacer.limit == 4

    asyncio.run(run())


def test_retry_after_pauses_the_whole_route():
    async def run():
        pacer, seen, gate = Pacer(4), [], asyncio.Event()
        pacer.refused(Slot(LATER), retry_after=0.05)
        gate.set()
        tasks = [asyncio.create_task(hold(pacer, seen, gate)) for _ in range(5)]
        await settled()
        assert seen == []
        await asyncio.gather(*tasks)
        assert len(seen) == 5

    asyncio.run(run())


def test_a_cancelled_waiter_takes_no_place():
    async def run():
        pacer, seen, gate = Pacer(1), [], asyncio.Event()
        first = asyncio.create_task(hold(pacer, seen, gate))
        waiting = [asyncio.create_task(hold(pacer, seen, gate)) for _ in range(3)]
        await settled()
        waiting[0].cancel()
        gate.set()
        first.cancel()
        # The second waiter is given the place of the first task and is cancelled before it can use it.
        await asyncio.sleep(0)
        waiting[1].cancel()
        await asyncio.gather(first, *waiting, return_exceptions=True)
        assert not waiting[2].cancelled()
        await asyncio.wait_for(hold(pacer, seen, gate), timeout=5)

    asyncio.run(run())


def test_delays_double_with_jitter_up_to_the_longest():
    patience = Patience(first_delay=1.0, longest_delay=10.0)
    for attempt, pause in [(1, 1.0), (2, 2.0), (4, 8.0), (5, 10.0), (50, 10.0)]:
        delays = [patience.delay(attempt) for _ in range(50)]
        assert all(pause / 2 <= delay <= pause for delay in delays)
        assert len(set(delays)) > 1


def test_the_circuit_opens_after_several_requests_given_up_in_a_row():
    async def run():
        circuit = Circuit(Patience(stop_after=3))
        for _ in range(2):
            circuit.gave_up("openai", "status 500: oops", unreachable=False)
        circuit.answered()
        for _ in range(2):
            circuit.gave_up("openai", "status 500: oops", unreachable=False)
        circuit.check()
        circuit.gave_up("openai", "status 500: oops", unreachable=False)
        with pytest.raises(ProviderError, match=r"openai failed 3 requests in a row.*oops.*kept"):
            circuit.check()

    asyncio.run(run())


def test_the_circuit_opens_at_once_where_nobody_listens():
    async def run():
        circuit = Circuit(Patience())
        circuit.gave_up("openai http://x/v1", "connection refused", unreachable=True)
        with pytest.raises(ProviderError, match=r"cannot be reached: connection refused"):
            circuit.check()

    asyncio.run(run())


def test_a_provider_that_never_answered_is_given_up_sooner_when_it_cannot_be_reached():
    async def run():
        circuit = Circuit(Patience(attempts=8, attempts_before_first_answer=3))
        assert (circuit.allowed_attempts(True), circuit.allowed_attempts(False)) == (3, 8)
        circuit.answered()
        assert circuit.allowed_attempts(True) == 8

    asyncio.run(run())


def test_rejections_stop_the_run_only_before_the_first_answer():
    async def run():
        answering, silent = Circuit(Patience(stop_after=2)), Circuit(Patience(stop_after=2))
        answering.answered()
        for circuit in (answering, silent):
            circuit.rejected("openai", "status 400: no")
            circuit.rejected("openai", "status 400: no")
        answering.check()
        with pytest.raises(ProviderError, match="2 requests in a row"):
            silent.check()

    asyncio.run(run())


def test_those_who_sleep_wake_when_the_circuit_opens():
    async def run():
        circuit = Circuit(Patience())
        sleeper = asyncio.create_task(circuit.sleep(3600))
        await settled()
        circuit.open(ProviderError("over"))
        circuit.open(ProviderError("a later error"))
        await asyncio.wait_for(sleeper, timeout=5)
        with pytest.raises(ProviderError, match=r"^over$"):
            circuit.check()
        await Circuit(Patience()).sleep(0.001)

    asyncio.run(run())
