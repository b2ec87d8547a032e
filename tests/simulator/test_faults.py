import json
from collections import Counter

import pytest

from distil_dagster.simulator.faults import Faults, garbled


def drawn(faults, seed=1, count=4000, attempt=1):
    return Counter(faults.draw(seed, f"request {number}", attempt) for number in range(count))


def test_without_rates_there_are_no_faults():
    assert drawn(Faults()) == {"none": 4000}


def test_each_fault_comes_at_its_rate():
    found = drawn(Faults(refuse=0.1, fail=0.05, hang=0.02, cut=0.2, garble=0.3))
    shares = {fault: count / 4000 for fault, count in found.items()}
    expected = {"refuse": 0.1, "fail": 0.05, "hang": 0.02, "cut": 0.2, "garble": 0.3, "none": 0.33}
    assert shares == pytest.approx(expected, abs=0.03)


def test_a_rate_of_one_meets_every_request():
    assert drawn(Faults(fail=1.0)) == {"fail": 4000}


def test_the_same_request_and_attempt_meet_the_same_fault():
    faults = Faults(refuse=0.5)
    assert [faults.draw(7, "a", attempt) for attempt in range(20)] == [faults.draw(7, "a", n) for n in range(20)]


def test_trying_again_gets_past_a_fault():
    faults = Faults(refuse=0.5)
    assert {faults.draw(7, "a", attempt) for attempt in range(20)} == {"refuse", "none"}


def test_another_seed_draws_other_faults():
    faults = Faults(fail=0.5)
    requests = [f"request {number}" for number in range(50)]
    assert [faults.draw(1, name, 1) for name in requests] != [faults.draw(2, name, 1) for name in requests]


@pytest.mark.parametrize("rates", [{"fail": -0.1}, {"fail": 0.6, "cut": 0.5}])
def test_rates_that_are_no_shares_are_refused(rates):
    with pytest.raises(ValueError, match="fault rates"):
        Faults(**rates)


@pytest.mark.parametrize("value", [{"answer": "x"}, {"examples": [{"question": "a", "answer": "b"}]}])
def test_a_garbled_answer_is_not_json_and_holds_no_whole_object_at_its_start(value):
    text = garbled(json.dumps(value))
    for candidate in (text, text[text.index("{") :]):
        with pytest.raises(ValueError, match=r"Expecting"):
            json.loads(candidate)
