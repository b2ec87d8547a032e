import signal

import pytest

from distil_dagster.training.endings import ending, shown_code, signal_of


@pytest.mark.parametrize(("code", "number"), [(-9, 9), (137, 9), (139, 11), (-15, 15), (143, 15)])
def test_a_signal_is_known_by_pythons_code_and_by_a_shells(code, number):
    assert signal_of(code) is signal.Signals(number)


@pytest.mark.parametrize("code", [0, 1, 2, 127, 128, 255])
def test_other_codes_are_no_signals(code):
    assert signal_of(code) is None
    assert ending(code) == shown_code(code) == f"exit code {code}"


def test_an_ending_names_code_signal_and_likely_cause():
    assert ending(-9) == ending(137)
    assert ending(-9).startswith(
        "exit code 137, SIGKILL: killed by the system, most likely because the machine ran out"
    )
    assert ending(-11).startswith("exit code 139, SIGSEGV: a native library crashed")
    assert ending(-15) == "exit code 143, SIGTERM: it was asked to end"
