import logging

import pytest

from distil_dagster.training.reporting import PipesReport, PrintedReport, open_report


@pytest.fixture(autouse=True)
def package_log():
    """The package's logger, put back as it was."""
    log = logging.getLogger("distil_dagster")
    before = (log.handlers, log.propagate, log.level)
    yield log
    log.handlers, log.propagate = before[0], before[1]
    log.setLevel(before[2])


class FakePipes:
    def __init__(self):
        self.log = logging.Logger("pipes")
        self.sent = []

    def report_custom_message(self, payload):
        self.sent.append(payload)


def test_by_hand_lines_are_printed_as_they_are_and_values_not_again(package_log, capsys):
    with open_report() as report:
        package_log.info("sft: step 1")
        report.measured({"step": 1})
    assert capsys.readouterr().out == "sft: step 1\n"


def test_by_hand_a_failure_is_marked_on_the_error_output(capsys):
    PrintedReport().failed("rows.jsonl: missing")
    assert capsys.readouterr().err == "error: rows.jsonl: missing\n"


def test_of_several_processes_only_the_first_tells(package_log, monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    with open_report():
        package_log.info("sft: step 1")
    assert capsys.readouterr().out == ""


def test_under_pipes_values_and_failures_are_custom_messages():
    pipes = FakePipes()
    report = PipesReport(pipes)
    report.measured({"step": 3, "loss": 0.5})
    report.failed("out of memory")
    assert pipes.sent == [{"step": 3, "loss": 0.5}, {"error": "out of memory"}]
