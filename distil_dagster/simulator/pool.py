"""Draws from known conversations what new ones are made of."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from distil_dagster.simulator.knowledge import Wanted
from distil_dagster.simulator.known import Known
from distil_dagster.simulator.turns import said


def unseen(pool: Sequence[Known], wanted: Wanted) -> list[Known]:
    """The conversations of a pool that the request does not show; all of them where it shows all."""
    return [known for known in pool if said(known.turns) not in wanted.shown] or list(pool)


def drawn(pool: Sequence[Known], wanted: Wanted, random: Random) -> list[Known]:
    """As many conversations as are wanted, each another one while they last; none from an empty pool."""
    candidates = unseen(pool, wanted)
    random.shuffle(candidates)
    return [candidates[at % len(candidates)] for at in range(wanted.count if candidates else 0)]


def fresh(known: Sequence[Known], held_out: Sequence[Known]) -> list[Known]:
    """Each conversation once, without those that ask what a held-out one asks."""
    tested = {said(row.turns) for row in held_out}
    first = {said(row.turns): row for row in reversed(known)}
    return [row for row in known if first[said(row.turns)] is row and said(row.turns) not in tested]
