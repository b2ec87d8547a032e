"""Computes the right team of any mail from a rule table."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from distil_dagster.simulator.rules import Phrases, Rules
from distil_dagster.simulator.sentences import sentences

_SLOT = re.compile(r"\\\{(\w+)\\\}")


@dataclass(frozen=True)
class Statement:
    """A problem or want that a mail names; `counts` is false where it is said to be over or beside the point."""

    team: str
    counts: bool


class Router:
    """Reads mails by the rules: finds their statements, and of those that count the team that goes first."""

    def __init__(self, rules: Rules) -> None:
        self._precedence = rules.precedence
        self._marks = tuple(mark.casefold() for mark in rules.dismissing_marks)
        self._long_forms = _long_forms(rules.contractions)
        self._patterns = {
            team: _pattern((*rules.problems.get(team, ()), *rules.wants.get(team, ())), rules.slots)
            for team in rules.precedence
        }

    def team(self, mail: str) -> str | None:
        """The team that must act; `None` where the mail states nothing that counts."""
        concerned = {statement.team for statement in self.statements(mail) if statement.counts}
        return next((team for team in self._precedence if team in concerned), None)

    def statements(self, mail: str) -> list[Statement]:
        """All statements of a mail, in order of its sentences."""
        found: list[Statement] = []
        before: list[Statement] = []
        for sentence in map(self._spelled_out, sentences(mail)):
            dismisses = any(mark in sentence for mark in self._marks)
            here = [
                Statement(team, not dismisses) for team in self._precedence if self._patterns[team].search(sentence)
            ]
            if dismisses and not here:
                before = [replace(statement, counts=False) for statement in before]
            found += before
            before = here
        return found + before

    def _spelled_out(self, sentence: str) -> str:
        text = " ".join(sentence.casefold().replace("’", "'").split())
        for short, long in self._long_forms:
            text = short.sub(long, text)
        return text


def _long_forms(contractions: dict[str, str]) -> list[tuple[re.Pattern[str], str]]:
    # The longest first: "that's been" is not "that is been".
    pairs = sorted(contractions.items(), key=lambda pair: len(pair[1]), reverse=True)
    return [(re.compile(rf"(?<!\w){re.escape(short.casefold())}(?!\w)"), long.casefold()) for long, short in pairs]


def _pattern(phrases: Phrases, slots: dict[str, Phrases]) -> re.Pattern[str]:
    def values(match: re.Match[str]) -> str:
        return "(?:" + "|".join(re.escape(value.casefold()) for value in slots[match[1]]) + ")"

    # Casefolding first would turn the names of slots too, but these are lower case by themselves.
    alternatives = [_SLOT.sub(values, re.escape(phrase.casefold())) for phrase in phrases]
    return re.compile(rf"\b(?:{'|'.join(alternatives)})\b")
