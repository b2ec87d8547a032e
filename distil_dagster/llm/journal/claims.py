"""Who buys what: a claim on a key, so that processes that want the same answer pay for it once."""

from __future__ import annotations

import logging
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import cast

from distil_dagster.errors import DistilError
from distil_dagster.llm.answers import RawAnswer
from distil_dagster.llm.journal.connection import Connection, DatabaseTrouble, in_parts
from distil_dagster.llm.journal.group_commit import GroupCommit
from distil_dagster.llm.journal.protocol import Claimed, Held

LEASE_SECONDS = 30.0
_RENEWALS_A_LEASE = 4
# A claim is made while the request waits for its turn, so a pause costs nothing, and one transaction less for each.
_GATHER_SECONDS = 0.005

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Take:
    key: str


@dataclass(frozen=True)
class _GiveBack:
    keys: Sequence[str]


class Claims:
    """The claims of one owner, a journal that is open, in the table `claims(key, owner, until)`.

    A claim is a lease: one thread takes, gives back and renews, so the claims of an owner that died or was stopped end
    after `lease_seconds` at most. `until` counts on the database's clock, whose text in SQL is `now`: machines need not
    agree on the time. `answers` reads the journal.
    """

    def __init__(
        self,
        place: str,
        connection: Connection,
        now: str,
        answers: Callable[[Sequence[str]], Mapping[str, RawAnswer]],
        lease_seconds: float,
    ) -> None:
        self._place = place
        self._connection = connection
        self._now = now
        self._answers = answers
        self._lease_seconds = lease_seconds
        self._owner = uuid.uuid4().hex
        self._held: set[str] = set()
        self._given_back: set[str] = set()
        self._answered: deque[Sequence[str]] = deque()
        self._renewed = self._swept = time.monotonic()
        self._thread: GroupCommit[_Take | _GiveBack] = GroupCommit(
            "claims", self._commit, at_least_every=lease_seconds / _RENEWALS_A_LEASE, gather=_GATHER_SECONDS
        )

    def take(self, key: str) -> Future[Claimed | Held | RawAnswer]:
        """Claim a key; the answer instead where the journal has it by now."""
        return cast("Future[Claimed | Held | RawAnswer]", self._thread.submit(_Take(key)))

    def give_back(self, keys: Sequence[str]) -> None:
        """End the claims on those keys that this owner has."""
        self._thread.submit(_GiveBack(keys))

    def answered(self, keys: Sequence[str]) -> None:
        """The same, but with the next claims: whoever asks for those keys finds the answers, claimed or not."""
        self._answered.append(keys)

    def close(self) -> None:
        """End all claims of this owner, and the thread."""
        self._thread.close()
        try:
            self._connection.run("DELETE FROM claims WHERE owner = ?", [self._owner])
        except DatabaseTrouble as trouble:
            _logger.warning("%s: claims end by themselves in %.0f s: %s", self._place, self._lease_seconds, trouble)
        self._connection.close()

    def _commit(self, batch: Sequence[_Take | _GiveBack]) -> list[Claimed | Held | RawAnswer | None]:
        self._given_back |= {key for change in batch if isinstance(change, _GiveBack) for key in change.keys}
        while self._answered:
            self._given_back.update(self._answered.popleft())
        wanted = [change.key for change in batch if isinstance(change, _Take)]
        try:
            self._end_given_back()
            self._renew_when_due()
            taken = iter(self._take(wanted) if wanted else [])
        except DatabaseTrouble as trouble:
            if not wanted:  # nobody waits, and the next call tries it again
                _logger.warning("%s: claims cannot be renewed: %s", self._place, trouble)
                return [None] * len(batch)
            raise DistilError(f"{self._place}: requests cannot be claimed: {trouble}") from None
        return [next(taken) if isinstance(change, _Take) else None for change in batch]

    def _take(self, wanted: Sequence[str]) -> list[Claimed | Held | RawAnswer]:
        self._sweep_when_due()
        won = self._insert(wanted)
        try:
            # After the claim: whoever had it before has stored the answer before the claim ended.
            answers = self._answers(wanted)
        except DistilError:
            self._given_back |= won
            raise
        self._given_back |= won & answers.keys()
        self._end_given_back()
        results: list[Claimed | Held | RawAnswer] = []
        for key in wanted:
            results.append(answers[key] if key in answers else Claimed() if key in won else Held())
            won.discard(key)
        return results

    def _insert(self, wanted: Sequence[str]) -> set[str]:
        """Claim what is free. In the order of their keys: two who each wait for the other's would wait for ever."""
        keys = sorted(set(wanted))
        rows = ",".join([f"(?, ?, {self._now} + ?)"] * len(keys))
        statement = f"INSERT INTO claims (key, owner, until) VALUES {rows} ON CONFLICT DO NOTHING RETURNING key"  # noqa: S608
        values = [value for key in keys for value in (key, self._owner, self._lease_seconds)]
        won = {key for (key,) in self._connection.run(statement, values)}
        self._held |= won
        return won

    def _end_given_back(self) -> None:
        """Once the database has failed at it, it is tried again with the next batch."""
        self._given_back &= self._held
        for marks, keys in in_parts(sorted(self._given_back)):
            self._connection.run(f"DELETE FROM claims WHERE owner = ? AND key IN ({marks})", [self._owner, *keys])  # noqa: S608
            self._held.difference_update(keys)
        self._given_back.clear()

    def _renew_when_due(self) -> None:
        if not self._held or time.monotonic() < self._renewed + self._lease_seconds / _RENEWALS_A_LEASE:
            return
        for marks, keys in in_parts(sorted(self._held)):
            statement = f"UPDATE claims SET until = {self._now} + ? WHERE owner = ? AND key IN ({marks})"  # noqa: S608
            self._connection.run(statement, [self._lease_seconds, self._owner, *keys])
        self._renewed = time.monotonic()

    def _sweep_when_due(self) -> None:
        """Remove the claims of owners that are gone."""
        if time.monotonic() < self._swept + min(1.0, self._lease_seconds / _RENEWALS_A_LEASE):
            return
        self._connection.run(f"DELETE FROM claims WHERE until < {self._now}")  # noqa: S608
        self._swept = time.monotonic()
