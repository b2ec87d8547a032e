"""Questions about a passage, made by rule: a date, number, name or word of a sentence is left out and asked for."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from random import Random

from distil_dagster.simulator.sentences import sentences
from distil_dagster.simulator.wording import phrases

_MONTH = "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
_CAPITALISED = r"[^\W\d_a-z](?:[\w.-]|['’](?!s\b))*\w"
_KINDS = {
    "date": re.compile(rf"(?:\d{{1,2}} )?\b{_MONTH}\b(?: \d{{1,2}},)?(?: \d{{4}}\b)?"),
    "year": re.compile(r"\b(?:1\d{3}|20\d{2})\b(?![.,]\d)"),
    "number": re.compile(
        r"\b\d[\d.,]*\d\b%?(?: (?:million|billion|percent|per cent))?|\b\d\b%?(?: (?:million|billion|percent))?"
    ),
    "name": re.compile(rf"{_CAPITALISED}(?: (?:(?:of|of the|de|von|van) )?{_CAPITALISED})*"),
    "word": re.compile(r"\b[^\W\d_A-Z][^\W\d_]{6,}\b"),
}
_GAP = "___"
_MOST_DROPPED = 3
# Share of a question's words, from which a sentence may be what it is about.
_SHARED_WORDS = 0.3
_FEWEST_WORDS = 5
# Words of the sentence that stand on either side of the gap.
_WINDOW = (5, 14)
_POINTING = re.compile(r"(?:It|Its|He|She|His|Her|They|Their|This|These|That|Those|Such)\b")


@dataclass(frozen=True)
class Gap:
    """A span of a passage that can be asked for, its kind, and the text on either side of it."""

    kind: str
    answer: str
    before: str
    after: str


def gaps(passage: str) -> list[Gap]:
    """All spans of a passage that can be asked for, each with the sentence that it stands in.

    A sentence that points back is read with the one before it, so that the question says what it is about.
    """
    found, before = list[Gap](), ""
    for sentence in sentences(passage):
        text = f"{before} {sentence}" if before and _POINTING.match(sentence) else sentence
        if len(text.split()) >= _FEWEST_WORDS:
            found += _gaps_of(text, len(text) - len(sentence))
        before = sentence
    return found


def gap_question(gap: Gap, random: Random) -> str:
    """A question for the span of a gap, which quotes some of what stands around it."""
    before, after = gap.before.split(), gap.after.split()
    ahead, behind = random.randint(*_WINDOW), random.randint(*_WINDOW)
    # A mark right behind the gap belongs to it.
    gap_mark = _GAP if gap.after[:1].isspace() or not after else _GAP + after.pop(0)
    quote = " ".join([*before[-ahead:], gap_mark, *after[:behind]])
    return str(random.choice(phrases()["gap_questions"])).format(kind=gap.kind, quote=quote)


def shortened(passage: str, answer: str, words: Collection[str], random: Random) -> str:
    """The passage without some sentences; those stay that hold the answer, or several of the question's `words`."""
    parts = sentences(passage)
    spare = [at for at, part in enumerate(parts) if not _bears_on(part.casefold(), answer.casefold(), words)]
    dropped = set(random.sample(spare, min(len(spare), random.randint(1, _MOST_DROPPED))))
    rest = " ".join(part for at, part in enumerate(parts) if at not in dropped)
    # A full stop inside the answer can take it for two sentences.
    return rest if answer in rest else passage


def _bears_on(sentence: str, answer: str, words: Collection[str]) -> bool:
    return answer in sentence or sum(word in sentence for word in words) >= max(2, _SHARED_WORDS * len(words))


def _gaps_of(text: str, start: int) -> Iterator[Gap]:
    """The gaps of a sentence that starts at `start`; a span counts for the first kind that fits."""
    taken = list[range]()
    for kind, pattern in _KINDS.items():
        for match in pattern.finditer(text, start):
            place = range(match.start(), match.end())
            overlaps = any(place.start < other.stop and other.start < place.stop for other in taken)
            if not overlaps and _can_be_asked(kind, match, start):
                taken.append(place)
                yield Gap(kind, match[0], text[: match.start()], text[match.end() :])


def _can_be_asked(kind: str, match: re.Match[str], start: int) -> bool:
    """Whether a span is more than the capital at a sentence's start, and is not given away by the rest."""
    if kind == "name" and match.start() == start and " " not in match[0]:
        return False
    rest = f"{match.string[: match.start()]} {match.string[match.end() :]}"
    return match[0].casefold() not in rest.casefold()
