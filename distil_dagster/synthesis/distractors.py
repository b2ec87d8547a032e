"""Contexts beside the point, mixed into that of an example, so that the student learns to find the one that answers.

The training of RAFT (Zhang et al., "RAFT: Adapting Language Model to Domain Specific RAG", 2024).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from distil_dagster.data.folder import UnstructuredRow

_BETWEEN = "\n\n"


@dataclass(frozen=True)
class Mixed:
    """A context among others: the whole text, and where the others come from, in the order in which they stand."""

    text: str
    sources: tuple[str, ...]


class Distractors:
    """Draws `count` other contexts for each example."""

    def __init__(self, contexts: Sequence[UnstructuredRow], count: int) -> None:
        self._contexts = contexts
        self._count = count

    def mix(self, golden: UnstructuredRow, random: Random) -> Mixed:
        """The context that answers and others, shuffled; fewer where there are fewer.

        What would make `golden` stand in the text twice, as overlapping pieces of one document do, is passed over.
        """
        blocks = [golden]
        drawn = self._drawn(random)
        while len(blocks) <= self._count and (other := next(drawn, None)) is not None:
            place = random.randrange(len(blocks) + 1)
            tried = [*blocks[:place], other, *blocks[place:]]
            if _stands_once(golden.text, _joined(tried)):
                blocks = tried
        return Mixed(_joined(blocks), tuple(row.source for row in blocks if row is not golden))

    def _drawn(self, random: Random) -> Iterator[UnstructuredRow]:
        """All contexts in random order, drawn as they are asked for: of thousands, a few are needed."""
        moved: dict[int, int] = {}
        for start in range(len(self._contexts)):
            chosen = random.randrange(start, len(self._contexts))
            yield self._contexts[moved.get(chosen, chosen)]
            moved[chosen] = moved.get(start, start)


def _joined(blocks: Sequence[UnstructuredRow]) -> str:
    return _BETWEEN.join(row.text for row in blocks)


def _stands_once(part: str, text: str) -> bool:
    first = text.find(part)
    return first >= 0 and text.find(part, first + 1) < 0
