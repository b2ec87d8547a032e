"""New examples whose answer is a text: of a class, about a passage, or of a job's own kind of question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from distil_dagster.simulator.comparing import Answer, canonical, normalised, same_answer
from distil_dagster.simulator.knowledge import Row, Wanted
from distil_dagster.simulator.known import Known
from distil_dagster.simulator.passages import gap_question, gaps, shortened
from distil_dagster.simulator.pool import drawn, unseen
from distil_dagster.simulator.wording import clearly_reworded, default_wording, plain_wording
from distil_dagster.tasks.open_book import Asked as AskedOpenBook
from distil_dagster.tasks.open_book import read_asked

_KNOWN_PAIR_SHARE = 0.5
# Share of a question's longer words that its passage has too.
_SHARED_WORDS = 0.6
_LONG_WORD = 4


@dataclass(frozen=True)
class _Pair:
    question: str
    answer: str

    @property
    def row(self) -> Row:
        return {"question": self.question, "answer": self.answer}


class TextMaker:
    """Rewords the questions of a pool, and asks for what passages say.

    `answers` are all known ones: a wrong answer is one of them.
    """

    def __init__(self, pool: Sequence[Known], answers: Sequence[Answer]) -> None:
        self._pool = tuple(pool)
        self._answers = sorted({canonical(answer) for answer in answers})

    def other_answer(self, right: Answer | None, random: Random) -> Answer:
        """The answer to another question."""
        others = [answer for answer in self._answers if not same_answer(answer, right)]
        return random.choice(others or self._answers)

    def examples(self, wanted: Wanted, random: Random) -> list[Row]:
        """Examples of the class wanted, about the passage wanted, or of any kind that the pool has."""
        if wanted.context is not None:
            return [pair.row for pair in self._about(wanted.context, wanted, random)]
        if wanted.label is not None:
            return self._of_class(wanted.label, wanted, random)
        return [_like(known, random).row for known in drawn(self._pool, wanted, random)]

    def wrong_examples(self, wanted: Wanted, random: Random) -> list[Row]:
        """Questions of other classes under the class wanted; without a class, questions with others' answers."""
        if wanted.label is None:
            rows = self.examples(wanted, random)
            return [row | {"answer": self.other_answer(row["answer"], random)} for row in rows]
        strays = [known for known in self._pool if known.answer != wanted.label] or self._pool
        return [
            {"question": _as_customers_ask(known.question, random), "answer": wanted.label}
            for known in drawn(strays, wanted, random)
        ]

    def _of_class(self, label: str, wanted: Wanted, random: Random) -> list[Row]:
        of_class = [known for known in self._pool if known.answer == label]
        return [
            {"question": _as_customers_ask(known.question, random), "answer": label}
            for known in drawn(of_class, wanted, random)
        ]

    def _about(self, passage: str, wanted: Wanted, random: Random) -> list[_Pair]:
        """Known questions that belong to a passage in other words, among ones made from its sentences."""
        known = [known for known in unseen(self._pool, wanted) if _belongs(known, passage)]
        made = gaps(passage)
        random.shuffle(known)
        random.shuffle(made)
        pairs = list[_Pair]()
        for at in range(wanted.count if known or made else 0):
            if known and (not made or random.random() < _KNOWN_PAIR_SHARE):
                pairs.append(_reworded(known[at % len(known)], random))
            else:
                gap = made[at % len(made)]
                pairs.append(_Pair(gap_question(gap, random), gap.answer))
        return pairs


def _like(known: Known, random: Random) -> _Pair:
    """A new input like a known one: reworded where it is short, and where it holds a passage, asking about that."""
    asked = read_asked(known.question)
    if not isinstance(asked, AskedOpenBook):
        return _reworded(known, random)
    question, answer = asked.question, canonical(known.answer)
    made = gaps(asked.context)
    if made and random.random() >= _KNOWN_PAIR_SHARE:
        gap = random.choice(made)
        question, answer = gap_question(gap, random), gap.answer
    passage = shortened(asked.context, answer, _long_words(question), random)
    if question == asked.question:
        question = clearly_reworded(question, random, plain_wording())
    return _Pair(f"Context: {passage}\n\nQuestion: {question}", answer)


def _reworded(known: Known, random: Random) -> _Pair:
    return _Pair(clearly_reworded(known.question, random, plain_wording()), canonical(known.answer))


def _as_customers_ask(question: str, random: Random) -> str:
    return clearly_reworded(question, random, default_wording())


def _belongs(known: Known, passage: str) -> bool:
    """Whether a question was asked about this passage, or at least is answered by it as far as words can tell."""
    text = normalised(passage)
    if known.context is not None:
        return normalised(known.context) == text
    words = _long_words(known.question)
    shared = sum(word in text for word in words)
    return normalised(canonical(known.answer)) in text and bool(words) and shared >= _SHARED_WORDS * len(words)


def _long_words(text: str) -> set[str]:
    words = (word.strip("\"'?!.,;:()") for word in text.casefold().split())
    return {word for word in words if len(word) >= _LONG_WORD} - _ASKING


_ASKING = frozenset(
    {"what", "when", "where", "which", "whose", "does", "many", "much", "long", "have", "this", "that", "were"}
)
