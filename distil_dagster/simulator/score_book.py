"""Looks up how a careful reader would score a logged conversation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from distil_dagster.simulator.knowledge import Scores
from distil_dagster.simulator.known import Logged
from distil_dagster.simulator.turns import Turn, said

# By the kind of noise; a wrong but whole answer is no incoherence.
_SCORES: Mapping[str, Scores] = {
    "clean": Scores(5, 5, "A fitting request with a fitting answer."),
    "duplicate": Scores(5, 5, "A fitting request with a fitting answer."),
    "wrong_label": Scores(5, 4, "A fitting request; the answer looks doubtful."),
    "irrelevant": Scores(1, 4, "The request has nothing to do with the job."),
    "corrupted": Scores(4, 1, "The conversation is damaged."),
}
_UNKNOWN = Scores(3, 3, "The conversation is not among those that the simulator knows.")


class ScoreBook:
    """Scores by the whole conversation, then by what the user said alone."""

    def __init__(self, logged: Iterable[Logged]) -> None:
        self._by_conversation: dict[tuple[str, ...], Scores] = {}
        self._by_user: dict[str, Scores] = {}
        for trace in logged:
            # A kind of noise that is not listed, but has a right answer, is some oddity of form.
            scores = _SCORES.get(trace.noise, _SCORES["clean"] if trace.known else _UNKNOWN)
            self._by_conversation.setdefault(_spoken(trace.turns), scores)
            user = said(trace.turns)
            best = self._by_user.get(user, scores)
            self._by_user[user] = max(best, scores, key=lambda score: score.relevance + score.coherence)

    def scores(self, turns: Sequence[Turn]) -> Scores:
        """The scores of a conversation; neither praise nor blame where it is not known."""
        return self._by_conversation.get(_spoken(turns)) or self._by_user.get(said(turns)) or _UNKNOWN


def _spoken(turns: Sequence[Turn]) -> tuple[str, ...]:
    # A turn without text and a turn that is missing are the same to a reader.
    return tuple(f"{'<' if turn.answers else '>'}{turn.key}" for turn in turns if turn.key)
