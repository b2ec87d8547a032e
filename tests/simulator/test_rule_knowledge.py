from random import Random

import pytest

from distil_dagster.simulator.knowledge import QuestionAnswer
from distil_dagster.simulator.rule_knowledge import RuleKnowledge


def scores(rules, user, assistant):
    turns = [{"role": "user", "content": user}]
    turns += [{"role": "assistant", "content": assistant}] if assistant is not None else []
    found = rules.relevance_and_coherence(turns)
    return found.relevance, found.coherence


@pytest.mark.parametrize(
    ("user", "assistant", "expected"),
    [
        ("I was charged twice.", "billing", (5, 5)),
        ("I was charged twice.", "delivery", (5, 4)),
        ("I was charged twice.", "The right team is billing.", (5, 4)),
        ("I was charged twice.", "bill", (5, 2)),
        ("I was charged twice.", "", (5, 2)),
        ("I was charged twice.", None, (5, 2)),
        ("I was charged twice. Please he", "billing", (5, 2)),
        ("I was charged twice. \ufffd~ea%e help.", "billing", (5, 1)),
        ("Who won the football match?", "billing", (1, 4)),
        ("", "billing", (1, 2)),
    ],
)
def test_scores_tell_what_is_wrong_with_a_trace(rules, user, assistant, expected):
    assert scores(rules, user, assistant) == expected


def test_a_wrong_answer_mostly_falls_for_what_the_mail_mentions(rules):
    mail = "I would like my money back because my parcel never arrived."
    drawn = [rules.other_answer(mail, Random(seed)) for seed in range(200)]
    assert "delivery" not in drawn
    assert drawn.count("returns") > 100


def test_a_wrong_answer_to_a_plain_mail_is_any_other_team(rules):
    drawn = {rules.other_answer("I was charged twice.", Random(seed)) for seed in range(200)}
    assert drawn == set(rules.classes) - {"billing"}


def test_generated_mails_are_distinct_and_no_exemplars(rules):
    first = rules.generate("returns", 50, Random(1), [])
    again = rules.generate("returns", 50, Random(1), [QuestionAnswer(row.question, row.answer) for row in first[:10]])
    assert len({row.question for row in first}) == 50
    assert not {row.question for row in first[:10]} & {row.question for row in again}


def test_an_unknown_team_gets_no_mails(rules):
    assert rules.generate("kitchen", 3, Random(1), []) == []


def test_knowledge_of_the_folder_is_the_same_each_time(rules, example_folder):
    other = RuleKnowledge.of(example_folder)
    assert other.generate("billing", 5, Random(2), []) == rules.generate("billing", 5, Random(2), [])
