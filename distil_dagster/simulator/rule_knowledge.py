"""Knowledge of a folder whose right answers follow from a rule table, for any mail whatever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from distil_dagster.simulator.call import last_text
from distil_dagster.simulator.knowledge import QuestionAnswer, Scores, normalised
from distil_dagster.simulator.mails import MailWriter
from distil_dagster.simulator.routing import Router
from distil_dagster.simulator.rules import Rules, read_rules

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

    def answer(self, question: str) -> str | None:
        """The team that must get the mail."""
        return self._router.team(question)

    def other_answer(self, question: str, random: Random) -> str:
        """A team that the mail mentions and is not for, mostly; any other team else."""
        right = self._router.team(question)
        mentioned = sorted({statement.team for statement in self._router.statements(question)} - {right})
        if mentioned and random.random() < _FALLS_FOR_A_MENTION:
            return random.choice(mentioned)
        return random.choice([team for team in self.classes if team != right])

    def relevance_and_coherence(self, messages: Sequence[Mapping[str, Any]]) -> Scores:
        """Relevant is a mail that states a team's matter; coherent one that is whole, with a whole answer."""
        mail, logged = last_text(messages, "user").strip(), last_text(messages, "assistant").strip()
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

    def generate(
        self, class_name: str, count: int, random: Random, exemplars: Sequence[QuestionAnswer]
    ) -> list[QuestionAnswer]:
        """Newly composed mails of a team, none equal to an exemplar or to each other; none for an unknown team."""
        if class_name not in self.classes:
            return []
        seen, written = {normalised(exemplar.question) for exemplar in exemplars}, list[QuestionAnswer]()
        for _ in range(count * _MOST_DRAWS):
            if len(written) == count:
                break
            mail = self._writer.mail(class_name, random)
            if normalised(mail) not in seen:
                seen.add(normalised(mail))
                written.append(QuestionAnswer(mail, class_name))
        return written

    def irrelevant(self, random: Random) -> str:
        """A text that is for no team."""
        return self._writer.irrelevant(random)
