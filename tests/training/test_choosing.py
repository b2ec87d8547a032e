import pytest

from distil_dagster.training.choosing import choose, reward_hacking
from distil_dagster.training.curve import CurvePoint


def curve(rewards, held_out) -> list[CurvePoint]:
    measured = [CurvePoint(step=0, held_out=held_out[0])] if held_out else []
    steps = [CurvePoint(step=number, reward=reward) for number, reward in enumerate(rewards, start=1)]
    return [*measured, *steps, *(CurvePoint(step=len(rewards), held_out=value) for value in held_out[1:])]


def test_the_student_that_is_better_on_held_out_rows_is_delivered():
    choice = choose([1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 0.0, 1.0], "Accuracy")
    assert (choice.ships, choice.before, choice.after) == ("rlvr", 0.5, 0.75)
    assert choice.reason == "Accuracy on 4 rows that no training saw was 0.500 before RLVR and 0.750 after it"


@pytest.mark.parametrize("after", [[1.0, 0.0], [0.0, 0.0]])
def test_rlvr_that_did_not_help_is_not_delivered(after):
    choice = choose([1.0, 0.0], after, "Accuracy")
    assert choice.ships == "sft"
    assert choice.reason.endswith(f"0.500 before RLVR and {sum(after) / 2:.3f} after it, so it did not help")


def test_a_verdict_that_is_missing_once_counts_for_neither():
    choice = choose([None, 1.0, 0.0, 1.0], [1.0, 1.0, 0.0, None], "LLM-as-a-judge")
    assert (choice.ships, choice.before, choice.after) == ("sft", 0.5, 0.5)
    assert " on 2 rows " in choice.reason


@pytest.mark.parametrize(("before", "after"), [([], []), ([], [1.0]), ([None], [1.0])])
def test_what_was_not_measured_before_and_after_does_not_help(before, after):
    choice = choose(before, after, "Accuracy")
    assert (choice.ships, choice.before) == ("sft", None)
    assert "unknown" in choice.reason


def test_a_reward_that_rises_while_the_held_out_metric_falls_is_hacked():
    rising = [0.1 * step for step in range(10)]
    assert reward_hacking(curve(rising, [0.8, 0.6]), 100).startswith(
        "the reward rose by 0.800 while the held-out metric fell by 0.200"
    )
    assert not reward_hacking(curve(rising, [0.8, 0.9]), 100)
    assert not reward_hacking(curve(rising[::-1], [0.8, 0.6]), 100)
    assert not reward_hacking(curve(rising, [0.8, 0.79]), 100)
    assert not reward_hacking(curve(rising, []), 0)
    assert not reward_hacking([], 0)


def test_one_row_of_a_few_is_no_sign_of_hacking():
    rising = [0.1 * step for step in range(10)]
    assert not reward_hacking(curve(rising, [8 / 14, 7 / 14]), 14)
    assert reward_hacking(curve(rising, [8 / 14, 6 / 14]), 14)
