import pytest
from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.simulator.routing import Router, Statement


@pytest.fixture(scope="module")
def router(rules):
    return Router(rules.rules)


@pytest.mark.parametrize(
    ("mail", "team"),
    [
        ("I was charged twice.", "billing"),
        ("I would like my money back.", "returns"),
        ("I would like my money back because the app rejected my password.", "account_access"),
        ("The app rejected my password on Friday, but that was sorted out. I would like my money back.", "returns"),
        ("The app rejected my password on Friday. That has been taken care of. I want a full refund.", "returns"),
        ("I was charged twice. My parcel never arrived yesterday, which has been fixed since.", "billing"),
        ("My parcel never arrived. I was charged twice yesterday, which has been fixed since.", "delivery"),
        (
            "My mother already asked you why I was charged twice, this is not about that. Please cancel my plan.",
            "plan_changes",
        ),
        ("The Pico camera stopped responding, so please cancel my plan.", "device_fault"),
        ("I do not ask for a refund. The Pico camera stopped responding.", "device_fault"),
    ],
)
def test_the_open_matter_that_goes_first_decides(router, mail, team):
    assert router.team(mail) == team


@pytest.mark.parametrize(
    "mail",
    [
        "I WAS CHARGED TWICE.",
        "Hello,\n\n  i was   charged twice",
        "Hi! I was charged twice .",
    ],
)
def test_case_and_spacing_do_not_matter(router, mail):
    assert router.team(mail) == "billing"


@pytest.mark.parametrize("want", ["I'd like my money back", "I’d like my money back", "pls take the Lumo bulb back"])
def test_contractions_are_read_in_full(router, want):
    assert router.team(want) == "returns"


def test_a_contracted_mark_dismisses_too(router):
    mail = "My parcel never arrived on Monday. That's been taken care of. Pls cancel my plan."
    assert router.team(mail) == "plan_changes"


def test_slots_take_any_of_their_values_and_no_other(router):
    assert router.team("I want to send the Breeze fan back.") == "returns"
    assert router.team("I want to send the grand piano back.") is None


def test_a_mail_that_states_nothing_is_for_nobody(router):
    assert router.team("What a lovely day!") is None
    assert router.team("") is None
    assert router.team("I was charged twice, but that was sorted out.") is None


def test_statements_say_whether_they_count(router):
    mail = "I was charged twice, but that was sorted out. My parcel never arrived."
    assert router.statements(mail) == [Statement("billing", False), Statement("delivery", True)]


def test_a_mark_alone_dismisses_the_sentence_before_and_no_other(router):
    mail = "I was charged twice. My parcel never arrived. That has been taken care of."
    assert router.statements(mail) == [Statement("billing", True), Statement("delivery", False)]


@given(st.text(max_size=200))
def test_any_text_can_be_routed(router, text):
    assert router.team(text) is None or router.team(text) in {statement.team for statement in router.statements(text)}
