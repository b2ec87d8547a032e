"""Knowledge of a folder whose right answers follow from a rule table, for any mail whatever."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from random import Random

from distil_dagster.simulator.comparing import normalised
from distil_dagster.simulator.knowledge import Asked, Row, Scores, Wanted
from distil_dagster.simulator.mails import MailWriter
from distil_dagster.simulator.routing import Router
from distil_dagster.simulator.rules import Rules, read_rules
from distil_dagster.simulator.turns import Turn, last_said

RULES_FILE = "rules.yaml"
_REPLACEMENT_CHARACTER = "\ufffd"
# A model that errs mostly falls for what the mail also mentions.
_FALLS_FOR_A_MENTION = 0.7
_MOST_DRAWS = 50


class RuleKnowledge:
    """Routes by the rules, composes new mails from them, and recognises damaged and foreign ones."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._router = Router(rules)
        self._writer = MailWriter(rules)

    @classmethod
    def of(cls, folder: Path) -> RuleKnowledge:
        """Read the folder's `rules.yaml`.

        Raises:
            DataError: it is missing or malformed.
        """
        return cls(read_rules(folder / RULES_FILE))

    @property
    def rules(self) -> Rules:
        """The table behind every answer."""
        return self._rules

    @property
    def classes(self) -> tuple[str, ...]:
        """The teams."""
        return self._rules.precedence

    def team(self, mail: str) -> str | None:
        """The team that must get the mail."""
        return self._router.team(mail)

    def other_team(self, mail: str, random: Random) -> str:
        """A team that the mail mentions and is not for, mostly; any other team else."""
        right = self._router.team(mail)
        mentioned = sorted({statement.team for statement in self._router.statements(mail)} - {right})
        if mentioned and random.random() < _FALLS_FOR_A_MENTION:
            return random.choice(mentioned)
        return random.choice([team for team in self.classes if team != right])

    def mails(self, team: str, count: int, random: Random, shown: Collection[str] = ()) -> list[str]:
        """Newly composed mails of a team, none equal to one `shown` or to each other; none for an unknown team."""
        if team not in self.classes:
            return []
        seen, written = set(shown), list[str]()
        for _ in range(count * _MOST_DRAWS):
            if len(written) == count:
                break
            mail = self._writer.mail(team, random)
            if normalised(mail) not in seen:
                seen.add(normalised(mail))
                written.append(mail)
        return written

    def irrelevant(self, random: Random) -> str:
        """A text that is for no team."""
        return self._writer.irrelevant(random)

    def answer(self, asked: Asked) -> str | None:
        """The team that must get the last mail."""
        return self.team(last_said(asked.turns))

    def other_answer(self, asked: Asked, random: Random) -> str:
        """A wrong team for the last mail."""
        return self.other_team(last_said(asked.turns), random)

    def relevance_and_coherence(self, turns: Sequence[Turn]) -> Scores:
        """Relevant is a mail that states a team's matter; coherent one that is whole, with a whole answer."""
        mail = last_said(turns).strip()
        logged = next((turn.text for turn in reversed(turns) if turn.answers), "").strip()
        relevance = 5 if self._router.statements(mail) else 1
        if _REPLACEMENT_CHARACTER in mail:
            return Scores(relevance, 1, "The mail is garbled.")
        if mail[-1:] not in {".", "!", "?"}:
            return Scores(relevance, 2, "The mail breaks off.")
        if not logged or any(team.startswith(logged) and team != logged for team in self.classes):
            return Scores(relevance, 2, "The answer is missing or breaks off.")
        if relevance == 1:
            return Scores(1, 4, "The mail is for no team of this support.")
        coherence = 5 if logged == self._router.team(mail) else 4
        return Scores(relevance, coherence, "A whole mail about a matter of this support.")

    def examples(self, wanted: Wanted, random: Random) -> list[Row]:
        """Newly composed mails of the team wanted, or of one by chance."""
        team = wanted.label or random.choice(self.classes)
        return [{"question": mail, "answer": team} for mail in self.mails(team, wanted.count, random, wanted.shown)]

    def wrong_examples(self, wanted: Wanted, random: Random) -> list[Row]:
        """Mails of other teams under the team wanted."""
        team = wanted.label or random.choice(self.classes)
        others = [name for name in self.classes if name != team]
        mails = (self.mails(random.choice(others), 1, random)[0] for _ in range(wanted.count))
        return [{"question": mail, "answer": team} for mail in mails]
