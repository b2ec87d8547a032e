from random import Random

import pytest

from distil_dagster.simulator.comparing import normalised
from distil_dagster.simulator.knowledge import Asked, Wanted
from distil_dagster.simulator.rule_knowledge import RuleKnowledge
from distil_dagster.simulator.turns import Turn


def scores(rules, user, assistant):
    turns = [Turn("user", user)]
    turns += [Turn("assistant", assistant)] if assistant is not None else []
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
    drawn = [rules.other_team(mail, Random(seed)) for seed in range(200)]
    assert "delivery" not in drawn
    assert drawn.count("returns") > 100


def test_a_wrong_answer_to_a_plain_mail_is_any_other_team(rules):
    drawn = {rules.other_answer(Asked((Turn("user", "I was charged twice."),)), Random(seed)) for seed in range(200)}
    assert drawn == set(rules.classes) - {"billing"}


def test_the_last_mail_is_answered(rules):
    turns = (
        Turn("user", "My parcel never arrived."),
        Turn("assistant", "delivery"),
        Turn("user", "I was charged twice."),
    )
    assert rules.answer(Asked(turns)) == "billing"


def test_generated_mails_are_distinct_and_no_exemplars(rules):
    first = rules.mails("returns", 50, Random(1))
    again = rules.mails("returns", 50, Random(1), [normalised(mail) for mail in first[:10]])
    assert len(set(first)) == 50
    assert not set(first[:10]) & set(again)


def test_examples_are_mails_of_the_team_wanted(rules):
    assert [row["answer"] for row in rules.examples(Wanted(3, "billing"), Random(1))] == ["billing"] * 3
    assert all(rules.team(row["question"]) == "billing" for row in rules.examples(Wanted(3, "billing"), Random(1)))


def test_wrong_examples_are_mails_of_other_teams(rules):
    made = rules.wrong_examples(Wanted(9, "billing"), Random(1))
    assert [row["answer"] for row in made] == ["billing"] * 9
    assert not any(rules.team(row["question"]) == "billing" for row in made)


def test_an_unknown_team_gets_no_mails(rules):
    assert rules.examples(Wanted(3, "kitchen"), Random(1)) == []


def test_knowledge_of_the_folder_is_the_same_each_time(rules, example_folder):
    other = RuleKnowledge.of(example_folder)
    assert other.mails("billing", 5, Random(2)) == rules.mails("billing", 5, Random(2))
