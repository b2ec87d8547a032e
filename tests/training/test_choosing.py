import pytest

from distil_dagster.training.choosing import choose, reward_hacking
from distil_dagster.training.curve import CurvePoint


def curve(rewards, held_out) -> list[CurvePoint]:
    measured = [CurvePoint(step=0, held_out=held_out[0])] if held_out else []
    steps = [CurvePoint(step=number, reward=reward) for number, reward in enumerate(rewards, start=1)]
    return [*measured, *steps, *(CurvePoint(step=len(rewards), held_out=value) for value in held_out[1:])]


def test_the_student_that_is_better_on_held_out_rows_is_delivered():
    choice = choose(curve([0.2, 0.9], [0.6, 0.7]), "Accuracy", 40)
    assert choice.ships == "rlvr"
    assert choice.reason == "Accuracy on 40 rows that no training saw was 0.600 before RLVR and 0.700 after it"


@pytest.mark.parametrize("after", [0.6, 0.5])
def test_rlvr_that_did_not_help_is_not_delivered_however_its_reward_rose(after):
    choice = choose(curve([0.2, 0.9], [0.6, 0.9, after]), "Accuracy", 40)
    assert choice.ships == "sft"
    assert choice.reason.endswith(f"0.600 before RLVR and {after:.3f} after it, so it did not help")


@pytest.mark.parametrize("held_out", [[], [0.5]])
def test_what_was_not_measured_does_not_help(held_out):
    choice = choose(curve([0.2, 0.9], held_out), "Accuracy", 0)
    assert choice.ships == "sft"
    assert "unknown" in choice.reason


def test_a_reward_that_rises_while_the_held_out_metric_falls_is_hacked():
    rising = [0.1 * step for step in range(10)]
    assert reward_hacking(curve(rising, [0.8, 0.6])).startswith(
        "the reward rose by 0.800 while the held-out metric fell by 0.200"
    )
    assert not reward_hacking(curve(rising, [0.8, 0.9]))
    assert not reward_hacking(curve(rising[::-1], [0.8, 0.6]))
    assert not reward_hacking(curve(rising, [0.8, 0.79]))
    assert not reward_hacking(curve(rising, []))
    assert not reward_hacking([])
