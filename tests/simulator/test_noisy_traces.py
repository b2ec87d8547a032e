from collections import Counter
from random import Random

import pytest

from distil_dagster.simulator.comparing import normalised
from distil_dagster.simulator.noisy_traces import noisy_log
from distil_dagster.simulator.turns import turns_of


@pytest.fixture(scope="module")
def log(rules):
    return noisy_log(rules, 600, Random(1))


def of(log, noise):
    return [mail for mail in log if mail.noise == noise]


def test_every_kind_of_noise_has_its_share(log):
    counts = Counter(mail.noise for mail in log)
    assert counts == {"clean": 330, "wrong_label": 150, "irrelevant": 60, "corrupted": 30, "duplicate": 30}


def test_clean_mails_are_answered_right(rules, log):
    assert all(mail.observed == mail.answer == rules.team(mail.user) for mail in of(log, "clean"))


def test_wrong_labels_are_wrong_in_three_ways(rules, log):
    wrong = of(log, "wrong_label")
    assert {mail.sub for mail in wrong} == {"wrong_class", "unknown_class", "verbose_right_class"}
    assert all(mail.observed != mail.answer for mail in wrong)
    assert all(mail.observed in rules.classes for mail in wrong if mail.sub == "wrong_class")
    assert not any(mail.observed in rules.classes for mail in wrong if mail.sub != "wrong_class")
    assert all(mail.answer in mail.observed for mail in wrong if mail.sub == "verbose_right_class")


def test_irrelevant_mails_have_no_answer(log):
    assert {mail.answer for mail in of(log, "irrelevant")} == {None}
    assert {mail.sub for mail in of(log, "irrelevant")} == {"forced_label", "chitchat"}


def test_a_corrupted_mail_is_damaged_on_one_side(log):
    for mail in of(log, "corrupted"):
        assert (mail.user != mail.question) != (mail.observed != mail.answer)


def test_a_duplicate_repeats_the_line_that_it_names(log):
    for mail in of(log, "duplicate"):
        original = log[mail.dup_of - 1]
        assert normalised(original.user) == normalised(mail.user)
        assert (original.noise, original.answer, original.observed) == (mail.orig_noise, mail.answer, mail.observed)


def test_no_two_mails_but_duplicates_are_alike(log):
    texts = [normalised(mail.question) for mail in log if mail.noise != "duplicate"]
    assert len(texts) == len(set(texts))


def test_scores_let_through_what_can_be_repaired_and_nothing_else(rules, log):
    passed = {}
    for mail in log:
        turns = turns_of([{"role": "user", "content": mail.user}, {"role": "assistant", "content": mail.observed}])
        found = rules.relevance_and_coherence(turns)
        passed.setdefault(mail.noise, set()).add(found.relevance >= 4 and found.coherence >= 3)
    assert passed == {
        "clean": {True},
        "wrong_label": {True},
        "duplicate": {True},
        "irrelevant": {False},
        "corrupted": {False},
    }
