from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

LENGTHS = Random(1).choices(range(20, 700), k=203)


def order(lengths, batch, seed=1, epoch=0):
    from distil_dagster.training.like_lengths import LikeLengths

    sampler = LikeLengths(lengths, batch, seed)
    sampler.set_epoch(epoch)
    assert len(sampler) == len(lengths)
    return list(sampler)


def filling(lengths, batch, positions):
    """The share of a batch's places that hold no token of a row, over all batches."""
    parts = [positions[at : at + batch] for at in range(0, len(positions), batch)]
    places = sum(len(part) * max(lengths[at] for at in part) for part in parts)
    return 1 - sum(lengths) / places


@given(lengths=st.lists(st.integers(1, 99), max_size=80), batch=st.integers(1, 9), epoch=st.integers(0, 3))
def test_an_epoch_has_every_row_once(lengths, batch, epoch):
    assert sorted(order(lengths, batch, epoch=epoch)) == list(range(len(lengths)))


def test_little_of_a_batch_is_filling():
    assert filling(LENGTHS, 8, list(range(203))) > 0.35
    assert filling(LENGTHS, 8, order(LENGTHS, 8)) < 0.15


def test_batches_do_not_go_from_long_to_short():
    positions = order(LENGTHS, 8)
    longest = [max(LENGTHS[at] for at in positions[start : start + 8]) for start in range(0, 200, 8)]
    rises = sum(one < other for one, other in pairwise(longest))
    assert 6 <= rises <= 18


def test_seed_and_epoch_decide_the_order_and_nothing_else():
    assert order(LENGTHS, 8, seed=3, epoch=2) == order(LENGTHS, 8, seed=3, epoch=2)
    assert order(LENGTHS, 8, seed=3, epoch=2) != order(LENGTHS, 8, seed=3, epoch=1)
    assert order(LENGTHS, 8, seed=3, epoch=2) != order(LENGTHS, 8, seed=4, epoch=2)


def test_who_shares_a_batch_changes_from_epoch_to_epoch():
    first, second = (
        {frozenset(order(LENGTHS, 8, epoch=epoch)[at : at + 8]) for at in range(0, 200, 8)} for epoch in (0, 1)
    )
    assert not first & second


@pytest.mark.parametrize("count", [3, 8, 11])
def test_rows_that_fill_no_batch_come_last(count):
    positions = order(list(range(count)), 8)
    full = positions[: count - count % 8]
    assert full == [] or max(full) - min(full) >= 7
    assert len(positions) - len(full) == count % 8
