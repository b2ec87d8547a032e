"""Looks up right answers: by the conversation as a request shows it, or by the known one that it is closest to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from distil_dagster.simulator.comparing import Answer, normalised
from distil_dagster.simulator.known import Known
from distil_dagster.simulator.turns import Turn, last_said, said
from distil_dagster.tasks.open_book import Asked as AskedOpenBook
from distil_dagster.tasks.open_book import read_asked

# Token-set similarity, 0 to 100, from which a text is taken for a rewording of a known one.
_LIKE_A_KNOWN_TEXT = 80.0
_CLOSE_ONES = 20
_CONTEXT_AND_QUESTION = "Context: {}\n\nQuestion: {}"


@dataclass(frozen=True)
class _Place:
    """One answer of a known conversation, and the turns before it."""

    known: Known
    number: int
    before: tuple[Turn, ...]

    @property
    def answer(self) -> Answer:
        return self.known.answers[self.number]


class AnswerBook:
    """The right answers of known conversations; of two that ask the same, the earlier one counts.

    What asks is the conversation before the answer: all turns, or all but the assistant's. Turns before a known
    conversation may be worked examples, so a request is matched by its end.
    """

    def __init__(self, known: Iterable[Known]) -> None:
        self._spoken: dict[tuple[str, ...], _Place] = {}
        self._heard: dict[tuple[str | None, ...], _Place] = {}
        self._by_last: dict[str, list[_Place]] = {}
        for conversation in known:
            self._add(conversation)
            if conversation.context is not None:
                self._add(_with_context(conversation, conversation.context))

    def answer(self, turns: Sequence[Turn]) -> Answer | None:
        """The answer to the longest known conversation that this one ends with, or to the closest by its last turn."""
        place = self._place(turns) or self._closest(turns)
        return place.answer if place else None

    def answers(self, turns: Sequence[Turn]) -> list[Answer] | None:
        """The answers to all assistant turns of a conversation; none where one of them is not known."""
        ends = [at for at, turn in enumerate(turns) if turn.answers]
        last = self._heard.get(_heard(turns[: ends[-1]])) if ends else None
        if last is not None:
            return list(last.known.answers[: last.number + 1])
        found = [self.answer(turns[:end]) for end in ends]
        answers = [answer for answer in found if answer is not None]
        return answers if len(answers) == len(found) else None

    def _add(self, known: Known) -> None:
        number = 0
        for at, turn in enumerate(known.turns):
            if not turn.answers:
                continue
            place = _Place(known, number, known.turns[:at])
            self._spoken.setdefault(tuple(each.key for each in place.before), place)
            self._heard.setdefault(_heard(place.before), place)
            self._by_last.setdefault(normalised(last_said(place.before)), []).append(place)
            number += 1

    def _place(self, turns: Sequence[Turn]) -> _Place | None:
        for start, turn in enumerate(turns):
            if turn.answers:
                continue
            rest = turns[start:]
            place = self._spoken.get(tuple(each.key for each in rest)) or self._heard.get(_heard(rest))
            if place:
                return place
        return None

    def _closest(self, turns: Sequence[Turn]) -> _Place | None:
        last = last_said(turns)
        asked = read_asked(last)
        if isinstance(asked, AskedOpenBook):
            return self._closest_about(asked)
        like = [normalised(last)] if normalised(last) in self._by_last else self._like(last)
        places = self._by_last[like[0]] if like else []
        return max(places, key=lambda place: _likeness(said(turns), said(place.before)), default=None)

    def _closest_about(self, asked: AskedOpenBook) -> _Place | None:
        """The same question or one like it, of the same passage where that is known."""
        context = normalised(asked.context)
        same = self._by_last.get(normalised(asked.question), [])
        if same:
            # A context may have others around it, which only distract.
            return max(same, key=lambda place: normalised(place.known.context or context) in context)
        like = self._like(_CONTEXT_AND_QUESTION.format(asked.context, asked.question))
        found = [place for text in like for place in self._by_last[text]]
        about = [place for place in found if normalised(_parts(place.known)[0]) == context] or found
        return max(about, key=lambda place: _likeness(asked.question, _parts(place.known)[1]), default=None)

    def _like(self, text: str) -> list[str]:
        """The known texts that are most like this one, the most alike first."""
        from rapidfuzz import fuzz, process, utils

        found = process.extract(
            utils.default_process(text),
            self._words,
            scorer=fuzz.token_set_ratio,
            score_cutoff=_LIKE_A_KNOWN_TEXT,
            limit=_CLOSE_ONES,
        )
        return sorted((key for _, _, key in found), key=lambda key: _likeness(text, key), reverse=True)

    @cached_property
    def _words(self) -> dict[str, str]:
        """The known texts without punctuation, under the texts as they are compared."""
        from rapidfuzz import utils

        return {text: utils.default_process(text) for text in self._by_last}


def _heard(turns: Sequence[Turn]) -> tuple[str | None, ...]:
    """What users and tools said; the assistant's turns keep their places only."""
    return tuple(None if turn.answers else turn.key for turn in turns)


def _with_context(known: Known, context: str) -> Known:
    """The conversation as an open-book request asks it: the passage stands before the question."""
    asked = _CONTEXT_AND_QUESTION.format(context, known.question)
    last = max(at for at, turn in enumerate(known.turns) if not turn.answers)
    turns = (*known.turns[:last], replace(known.turns[last], text=asked), *known.turns[last + 1 :])
    return replace(known, turns=turns)


def _parts(known: Known) -> tuple[str, str]:
    """Passage and question; no passage where the text holds none."""
    asked = read_asked(known.question)
    return (asked.context, asked.question) if isinstance(asked, AskedOpenBook) else ("", known.question)


def _likeness(one: str, other: str) -> float:
    """How alike two texts are. All of a short one may stand in a long one: words that are not shared count too."""
    from rapidfuzz import fuzz, utils

    words = utils.default_process(one), utils.default_process(other)
    return fuzz.token_set_ratio(*words) + fuzz.token_sort_ratio(*words)
