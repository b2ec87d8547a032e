from __future__ import annotations

import threading
import time

import pytest

from distil_dagster.llm.journal.group_commit import GroupCommit


def test_what_comes_in_during_a_commit_is_done_together_in_order():
    batches, entered, gate = [], threading.Event(), threading.Event()

    def commit(batch):
        batches.append(list(batch))
        entered.set()
        gate.wait()
        return [item * 10 for item in batch]

    group = GroupCommit("test", commit)
    futures = [group.submit(0)]
    entered.wait()
    futures += [group.submit(number) for number in range(1, 1000)]
    gate.set()
    assert [future.result() for future in futures] == [number * 10 for number in range(1000)]
    assert [len(batch) for batch in batches][:3] == [1, 512, 487]
    group.close()


def test_an_error_reaches_all_of_its_batch_and_none_of_the_next():
    def commit(batch):
        if "bad" in batch:
            raise ValueError("bad")
        return batch

    group = GroupCommit("test", commit)
    with pytest.raises(ValueError, match="bad"):
        group.submit("bad").result()
    assert group.submit("good").result() == "good"
    group.close()


def test_an_item_is_done_though_its_future_is_cancelled():
    done = []
    group = GroupCommit("test", lambda batch: done.extend(batch) or batch)
    assert not group.submit("a").cancel()
    group.close()
    assert done == ["a"]


def test_it_is_called_with_nothing_when_nothing_came_in_though_that_fails():
    times = []

    def commit(batch):
        times.append(time.monotonic())
        raise ValueError("nobody hears this")

    group = GroupCommit("test", commit, at_least_every=0.05)
    time.sleep(0.5)
    group.close()
    assert len(times) > 3
