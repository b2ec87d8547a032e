"""The rows of a synthetic dataset, accepted and rejected, each with its provenance."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from distil_dagster.data.examples import Example
from distil_dagster.data.messages import Frozen, Message
from distil_dagster.tasks.base import RejectReason

RowReason = RejectReason | Literal["beyond_target", "call_failed"]


class SyntheticRow(Frozen):
    """A generated example.

    `number` counts the accepted rows from 1; `exemplars` and `guidelines` are what its call showed, `context_source` is
    where the context comes from that it was generated from, `distractors` where those come from that stand beside it.
    """

    number: int
    label: str | None
    messages: tuple[Message, ...]
    context: str | None = None
    iteration: int
    request_key: str
    exemplars: tuple[str, ...] = ()
    guidelines: tuple[tuple[str, str], ...] = ()
    context_source: str = ""
    distractors: tuple[str, ...] = ()

    def as_example(self) -> Example:
        """The example for training."""
        return Example(
            messages=self.messages,
            context=self.context,
            source=f"synthetic:{self.number}",
            request_keys=(self.request_key,),
        )


class RejectedRow(Frozen):
    """A generated example that was not taken, or a call that gave none, and why."""

    reason: RowReason
    detail: str
    label: str | None
    messages: tuple[Message, ...] = ()
    context: str | None = None
    iteration: int
    request_key: str
    context_source: str = ""


@dataclass(frozen=True)
class SyntheticDataset:
    """What generation gave. `stopped` says why it ended before the target; empty where the target was reached."""

    accepted: list[SyntheticRow]
    rejected: list[RejectedRow]
    target: int
    iterations: int
    stopped: str

    def rejections(self) -> dict[str, int]:
        """How many rows were rejected for each reason, most first."""
        return dict(Counter(str(row.reason) for row in self.rejected).most_common())

    def labels(self) -> dict[str, int]:
        """How many rows were accepted of each class or tool that was asked for."""
        return dict(sorted(Counter(row.label for row in self.accepted if row.label is not None).items()))
