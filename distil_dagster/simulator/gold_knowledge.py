"""Knowledge of a folder whose right answers are written down: traces with gold answers, train and test rows."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Protocol

from distil_dagster.simulator.answer_book import AnswerBook
from distil_dagster.simulator.call_maker import CallMaker
from distil_dagster.simulator.comparing import Answer
from distil_dagster.simulator.conversation_maker import ConversationMaker
from distil_dagster.simulator.knowledge import Asked, Row, Scores, Wanted
from distil_dagster.simulator.known import Known, KnownFolder, is_call
from distil_dagster.simulator.pool import fresh
from distil_dagster.simulator.request_writer import RequestWriter
from distil_dagster.simulator.score_book import ScoreBook
from distil_dagster.simulator.text_maker import TextMaker
from distil_dagster.simulator.turns import Turn


class Maker(Protocol):
    """Makes new examples and wrong answers, for one form of answer."""

    def other_answer(self, right: Answer | None, random: Random) -> Answer:
        """An answer that is not the right one."""

    def examples(self, wanted: Wanted, random: Random) -> list[Row]:
        """New examples with right answers."""

    def wrong_examples(self, wanted: Wanted, random: Random) -> list[Row]:
        """New examples with wrong answers."""


class GoldKnowledge:
    """Answers, scores and new examples out of files.

    New examples are made from the training rows and the traces, never from the test file. Where a folder has no test
    file, the traces that become the test set are among them: figures are then flattering.
    """

    def __init__(self, folder: KnownFolder) -> None:
        logged = folder.logged_known
        # A damaged question is asked as it was logged, but its right answer is that of the whole one.
        damaged = [known for trace in folder.logged if (known := trace.as_logged) is not None]
        self._answers = AnswerBook([*folder.test, *folder.train, *logged, *damaged])
        self._scores = ScoreBook(folder.logged)
        self._maker = _maker(folder, fresh([*folder.train, *folder.sound], folder.test))

    def answer(self, asked: Asked) -> Answer | None:
        """The answer to a known conversation or to a rewording of one."""
        return self._answers.answers(asked.turns) if asked.whole else self._answers.answer(asked.turns)

    def other_answer(self, asked: Asked, random: Random) -> Answer:
        """Another answer; of a whole conversation, its answers but for one."""
        right = self.answer(asked)
        if not asked.whole:
            return self._maker.other_answer(right, random)
        answers = list(right) if isinstance(right, list) else self._guesses(asked.turns, random)
        if answers:
            at = random.randrange(len(answers))
            answers[at] = self._maker.other_answer(answers[at], random)
        return answers

    def relevance_and_coherence(self, turns: Sequence[Turn]) -> Scores:
        """The scores that fit the noise of the trace."""
        return self._scores.scores(turns)

    def examples(self, wanted: Wanted, random: Random) -> list[Row]:
        """New examples out of the pool."""
        return self._maker.examples(wanted, random)

    def wrong_examples(self, wanted: Wanted, random: Random) -> list[Row]:
        """New examples with wrong answers."""
        return self._maker.wrong_examples(wanted, random)

    def _guesses(self, turns: Sequence[Turn], random: Random) -> list[Answer]:
        return [self._maker.other_answer(None, random) for turn in turns if turn.answers]


def _maker(folder: KnownFolder, pool: list[Known]) -> Maker:
    if not folder.tools:
        return TextMaker(pool, [known.answer for known in folder.all])
    called = [known for known in pool if all(map(is_call, known.answers))]
    writer = RequestWriter(folder.tools, [call for known in called for call in known.calls])
    return ConversationMaker(called, writer) if folder.whole_conversations else CallMaker(called, writer)
