"""Composes mails of a team from a rule table: the decisive statement among settled ones, asides and courtesies."""

from __future__ import annotations

import re
from collections.abc import Collection
from random import Random

from distil_dagster.simulator.rules import Phrases, Rules
from distil_dagster.simulator.sentences import capitalised

_SLOT = re.compile(r"\{(\w+)\}")
_CONTRACTED_SHARE = 0.5
_LOWER_CASE_SHARE = 0.15
_EXCLAIMED_SHARE = 0.05
_TYPO_SHARE = 0.12
# How many sentences that state nothing stand beside the decisive ones: none to two.
_BY_THE_WAY_WEIGHTS = (2, 5, 3)
_DENIAL_SHARE = 0.3
_REQUEST_SHARE = 0.35
_CLOSING_SHARE = 0.4


class MailWriter:
    """Writes mails whose right team is known before they are written."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def mail(self, team: str, random: Random) -> str:
        """A mail that `team` must get."""
        slots = {"product": random.choice(self._rules.slots["product"])}
        groups, concerned = self._decisive(team, random)
        groups += [
            [self._by_the_way(concerned, random)] for _ in range(random.choices((0, 1, 2), _BY_THE_WAY_WEIGHTS)[0])
        ]
        random.shuffle(groups)
        body = [sentence for group in groups for sentence in group]
        if random.random() < _REQUEST_SHARE:
            body.append(_mistyped(random.choice(self._rules.requests), random))
        text = " ".join(capitalised(self._filled(sentence, slots, random)) for sentence in body)
        closing = random.choice(self._rules.closings) if random.random() < _CLOSING_SHARE else ""
        parts = (random.choice(self._rules.greetings), text, self._filled(closing, slots, random))
        return self._toned("\n".join(part for part in parts if part), random)

    def irrelevant(self, random: Random) -> str:
        """A text that reached the mailbox and is for no team."""
        return capitalised(self._filled(random.choice(self._rules.irrelevant), {}, random))

    def _decisive(self, team: str, random: Random) -> tuple[list[list[str]], Collection[str]]:
        """Groups of sentences to be kept in order, with slots, and the teams with statements that count."""
        rules = self._rules
        problem = team in rules.problems and random.random() < _share_of_problems(rules, team)
        weights = rules.shapes.problem if problem else rules.shapes.want
        shape = random.choices(list(weights), list(weights.values()))[0]
        groups, concerned = [], {team}
        if not problem:
            groups.append([_framed(rules.want_frames, random, want=random.choice(rules.wants[team]))])
        elif "consequence" in shape:
            asked = random.choice([name for name in rules.consequence_wants if name != team])
            concerned.add(asked)
            frame = {
                "problem": random.choice(rules.problems[team]),
                "want": random.choice(rules.consequence_wants[asked]),
            }
            groups.append([_framed(rules.consequence_frames, random, **frame)])
        else:
            groups.append([_framed(rules.open_frames, random, problem=random.choice(rules.problems[team]))])
        if "dismissed" in shape:
            other = random.choice([name for name in rules.problems if name != team])
            groups.append([_framed(rules.dismissed_frames, random, problem=random.choice(rules.problems[other]))])
        return groups, concerned

    def _by_the_way(self, concerned: Collection[str], random: Random) -> str:
        if random.random() < _DENIAL_SHARE:
            others = [team for team in self._rules.denials if team not in concerned]
            return _mistyped(random.choice(self._rules.denials[random.choice(others)]), random)
        return _mistyped(random.choice(self._rules.asides), random)

    def _filled(self, phrase: str, kept: dict[str, str], random: Random) -> str:
        def value(slot: re.Match[str]) -> str:
            if slot[1] == "number":
                return str(random.randrange(1000, 100000))
            return kept.get(slot[1]) or random.choice(self._rules.slots[slot[1]])

        return re.sub(r"(?<=[.!?] )[a-z]", lambda letter: letter[0].upper(), _SLOT.sub(value, phrase))

    def _toned(self, mail: str, random: Random) -> str:
        if random.random() < _CONTRACTED_SHARE:
            for long, short in self._rules.contractions.items():
                mail = _contracted(mail, long, short)
        if random.random() < _LOWER_CASE_SHARE:
            mail = mail.lower()
        if random.random() < _EXCLAIMED_SHARE:
            mail = mail.replace(".", "!")
        return mail


def _share_of_problems(rules: Rules, team: str) -> float:
    """Wants are fewer where a team has problems too, so they are rarer in proportion."""
    problems, wants = len(rules.problems[team]), len(rules.wants.get(team, ()))
    return problems / (problems + wants)


def _framed(frames: Phrases, random: Random, **statements: str) -> str:
    """A frame with its statements in place; other slots stay for later."""
    frame = random.choice(frames)
    for name, statement in statements.items():
        frame = frame.replace(f"{{{name}}}", statement)
    return frame


def _contracted(text: str, long: str, short: str) -> str:
    def kept_case(match: re.Match[str]) -> str:
        return capitalised(short) if match[0][0].isupper() else short

    return re.sub(rf"\b{re.escape(long)}\b", kept_case, text, flags=re.IGNORECASE)


def _mistyped(sentence: str, random: Random) -> str:
    """Now and then a sentence with two letters of a word swapped; its slots stay whole."""
    words = sentence.split(" ")
    long_words = [place for place, word in enumerate(words) if len(word) > 5 and word.isalpha()]
    if not long_words or random.random() >= _TYPO_SHARE:
        return sentence
    place = random.choice(long_words)
    word, start = words[place], random.randrange(1, len(words[place]) - 2)
    words[place] = word[:start] + word[start + 1] + word[start] + word[start + 2 :]
    return " ".join(words)
