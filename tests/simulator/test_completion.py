import json

import pytest

from distil_dagster.simulator.call import read_call
from distil_dagster.simulator.completion import Reply, completion, cut_in_half, failure, tokens, within_limit

CALL = read_call(json.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * 40}]}).encode())


def test_a_completion_says_that_it_is_simulated_and_what_it_took():
    body = completion(CALL, Reply("y" * 8), created=5)
    assert body["system_fingerprint"] == "simulated"
    assert body["usage"] == {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
    assert body["choices"][0]["message"] == {"role": "assistant", "content": "y" * 8}
    assert body["choices"][0]["finish_reason"] == "stop"


def test_a_cut_reply_ends_for_its_length():
    assert completion(CALL, cut_in_half("abcdef"), created=5)["choices"][0]["finish_reason"] == "length"
    assert cut_in_half("abcdef") == Reply("abc", cut=True)


def test_the_limit_of_tokens_is_kept():
    assert within_limit("x" * 8, None) == within_limit("x" * 8, 2) == Reply("x" * 8)
    assert within_limit("x" * 9, 2) == Reply("x" * 8, cut=True)


@pytest.mark.parametrize(("characters", "expected"), [(0, 1), (1, 1), (4, 1), (5, 2), (8, 2)])
def test_tokens_are_characters_by_four_rounded_up(characters, expected):
    assert tokens(characters) == expected


def test_a_failure_has_the_form_of_the_api():
    assert failure("why", "server_error")["error"]["message"] == "why"
