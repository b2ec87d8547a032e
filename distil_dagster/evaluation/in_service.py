"""Which student is in service, since when and why: a pointer with its history, moved by students that are no worse.

The new student and the one in service answer the same test rows. Rows that the one in service was trained on say
nothing about it, so they do not count; neither do rows where a score is missing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from distil_dagster.data.messages import Frozen
from distil_dagster.errors import DistilError
from distil_dagster.evaluation.statistics import Comparison, compare

Action = Literal["promoted", "refused", "rolled back"]
_FEWEST_ROWS = 10


class ServiceEntry(Frozen):
    """One decision: what was done with which version, when (ISO 8601, UTC), and why in a sentence.

    `score` is the student's mean on the rows that decided, `before` that of the student then in service, `original`
    that of the model whose traces it learned from; none where there was no such model or score.
    """

    at: str
    version: str
    action: Action
    reason: str
    metric: str = ""
    score: float | None = None
    before: float | None = None
    original: float | None = None
    rows: int = 0
    run: str = ""


@dataclass(frozen=True)
class InService:
    """The version in service, empty before the first, and every decision so far, the oldest first."""

    history: list[ServiceEntry]
    current: str = ""

    def after(self, entry: ServiceEntry) -> InService:
        """The pointer after one more decision."""
        current = self.current if entry.action == "refused" else entry.version
        return InService([*self.history, entry], current)

    def served_before(self) -> str:
        """The version that a rollback goes back to: the latest other one that was in service.

        Raises:
            DistilError: there was no other.
        """
        earlier = [entry.version for entry in self.history if entry.action != "refused"]
        others = [version for version in earlier if version != self.current and not self.was_withdrawn(version)]
        if not others:
            raise DistilError("no other student was in service before this one")
        return others[-1]

    def was_withdrawn(self, version: str) -> bool:
        """Whether somebody rolled back from this version: no machine puts it into service again."""
        serving = ""
        withdrawn: set[str] = set()
        for entry in self.history:
            if entry.action == "rolled back" and entry.version in withdrawn:
                # It takes a mistaken rollback back, and says nothing against the student that it replaces.
                withdrawn.discard(entry.version)
            elif entry.action == "rolled back":
                withdrawn.add(serving)
            if entry.action != "refused":
                serving = entry.version
        return version in withdrawn


@dataclass(frozen=True)
class ServedStudent:
    """What is kept of a student that was put into service.

    `bundle` is its folder as delivered; `asked` are the keys of the questions that it was trained on; `stage` is what
    it came from, `sft` or `rlvr`.
    """

    bundle: Path
    asked: list[str]
    stage: str


@dataclass(frozen=True)
class Contest:
    """Scores on the same rows, in their order: the new student's, and those it must not fall below.

    `served` are the scores of the student in service, none where there is none; `original` those of the original model,
    none where it has no answers to these rows.
    """

    metric: str
    binary: bool
    new: Sequence[float | None]
    served: Sequence[float | None] | None = None
    original: Sequence[float | None] | None = None

    def known(self) -> Contest:
        """The contest on the rows that the new student and the one in service both have a score for."""
        sides = [self.new, *([] if self.served is None else [self.served])]
        return self._on([at for at in range(len(self.new)) if all(side[at] is not None for side in sides)])

    def without(self, rows: Collection[int]) -> Contest:
        """The contest without these rows, unless too few are left to say anything."""
        kept = [at for at in range(len(self.new)) if at not in rows]
        return self if len(kept) < _FEWEST_ROWS else self._on(kept)

    def _on(self, rows: Sequence[int]) -> Contest:
        return replace(
            self,
            new=[self.new[at] for at in rows],
            served=None if self.served is None else [self.served[at] for at in rows],
            original=None if self.original is None else [self.original[at] for at in rows],
        )


@dataclass(frozen=True)
class Decision:
    """Whether the new student goes into service, why, and the means that decided."""

    promoted: bool
    reason: str
    score: float | None
    before: float | None
    original: float | None
    rows: int


def decide(contest: Contest, seed: int = 0) -> Decision:
    """Put the new student into service unless it is worse than what is there, or than the original model.

    Worse is a lower mean on the same rows: a difference that may be chance is no reason to change what works. Only rows
    count that the student in service has a score for, too; where those are too few, nothing is decided in favour.
    """
    known = contest.known()
    served, original = (_against(known, other, seed) for other in (known.served, known.original))
    lost = [
        f"{known.metric} is {-match.difference:.3f} lower than that of {name} on {match.rows} rows "
        f"(p {match.p_value:.2g})"
        for name, match in (("the student in service", served), ("the original model", original))
        if match is not None and match.difference < 0
    ]
    unknown = len(known.new) < max(1, min(_FEWEST_ROWS, len(contest.new)), len(contest.new) / 2)
    if unknown:
        lost = [f"{known.metric} is known on {len(known.new)} of {len(contest.new)} rows, too few to decide"]
    return Decision(
        promoted=not lost,
        reason="; ".join(lost) or _why_promoted(known, served, original),
        score=_mean(known.new),
        before=_mean(known.served),
        original=_mean(known.original),
        rows=len(known.new),
    )


def _against(contest: Contest, other: Sequence[float | None] | None, seed: int) -> Comparison | None:
    if other is None:
        return None
    if all(new is None or old is None for new, old in zip(contest.new, other, strict=True)):
        return None
    return compare(contest.new, other, contest.binary, seed)


def _why_promoted(contest: Contest, served: Comparison | None, original: Comparison | None) -> str:
    if served is not None:
        return (
            f"{contest.metric} is no lower than that of the student in service: {served.difference:+.3f} on "
            f"{served.rows} rows"
        )
    if original is not None:
        return (
            f"the first student in service; {contest.metric} is no lower than that of the original model: "
            f"{original.difference:+.3f} on {original.rows} rows"
        )
    return "the first student in service"


def _mean(scores: Sequence[float | None] | None) -> float | None:
    known = [score for score in scores or () if score is not None]
    return sum(known) / len(known) if known else None
