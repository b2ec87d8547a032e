import re
from random import Random

import pytest

from distil_dagster.simulator.mails import MailWriter
from distil_dagster.simulator.routing import Router


@pytest.fixture(scope="module")
def writer(rules):
    return MailWriter(rules.rules)


@pytest.fixture(scope="module")
def router(rules):
    return Router(rules.rules)


def test_every_mail_is_for_its_team(rules, writer, router):
    for team in rules.classes:
        for seed in range(300):
            mail = writer.mail(team, Random(seed))
            assert router.team(mail) == team, mail


def test_the_same_seed_writes_the_same_mail(writer):
    assert writer.mail("billing", Random(4)) == writer.mail("billing", Random(4))


def test_mails_are_whole(rules, writer):
    for team in rules.classes:
        for seed in range(100):
            mail = writer.mail(team, Random(seed))
            assert not re.search(r"[{}]|  ", mail)
            assert mail[-1] in ".!?"


def test_irrelevant_texts_state_nothing(writer, router):
    texts = [writer.irrelevant(Random(seed)) for seed in range(300)]
    assert all(router.statements(text) == [] for text in texts)
    assert len(set(texts)) > 100


def test_mails_differ_in_tone(writer):
    mails = [writer.mail("delivery", Random(seed)) for seed in range(300)]
    assert any(mail == mail.lower() for mail in mails)
    assert any("!" in mail and "." not in mail for mail in mails)
    assert any("'" in mail for mail in mails)
    assert any(mail.startswith("Dear support,") for mail in mails)


def test_a_mail_does_not_deny_what_it_is_about(rules, writer):
    for team, denials in rules.rules.denials.items():
        plain = [denial for denial in denials if "{" not in denial]
        for seed in range(200):
            mail = writer.mail(team, Random(seed))
            assert not any(denial in mail for denial in plain)
