"""One thread does for many what they ask for, all that came in during its last commit at once."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

_LARGEST_COMMIT = 512

Item = TypeVar("Item")


class GroupCommit(Generic[Item]):
    """Hands items to `commit` in batches, so that the wait for a disk or a server is shared.

    `commit` gives one result for each item; what it raises reaches all of the batch. It is also called with nothing
    when nothing came in for `at_least_every` seconds. After the first item of a batch, `gather` seconds are given to
    more.
    """

    def __init__(
        self,
        name: str,
        commit: Callable[[Sequence[Item]], Sequence[Any]],
        at_least_every: float | None = None,
        gather: float = 0.0,
    ) -> None:
        self._commit = commit
        self._gather = gather
        self._at_least_every = at_least_every
        self._waiting: queue.SimpleQueue[tuple[Item, Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, item: Item) -> Future[Any]:
        """Ask for an item; it is done even where its future is not waited for, and cannot be cancelled."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        self._waiting.put((item, future))
        return future

    def close(self) -> None:
        """Do what is still waiting, and end the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        ended = False
        while not ended:
            batch, ended = self._next_batch()
            self._do(batch)

    def _next_batch(self) -> tuple[list[tuple[Item, Future[Any]]], bool]:
        """What waits now, and whether it is the last."""
        batch: list[tuple[Item, Future[Any]]] = []
        try:
            following = self._waiting.get(timeout=self._at_least_every)
            if self._gather:
                time.sleep(self._gather)
            while following is not None:
                batch.append(following)
                if len(batch) == _LARGEST_COMMIT:
                    return batch, False
                following = self._waiting.get_nowait()
        except queue.Empty:
            return batch, False
        return batch, True

    def _do(self, batch: Sequence[tuple[Item, Future[Any]]]) -> None:
        try:
            results = self._commit([item for item, _ in batch])
        except Exception as error:  # whatever it is, those who wait must learn of it
            for _, future in batch:
                future.set_exception(error)
            return
        for (_, future), result in zip(batch, results, strict=True):
            future.set_result(result)
