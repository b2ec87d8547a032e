"""Every parameter of a configuration changes something that can be seen."""

import pytest
from parameter_cases import base, evaluation, synthgen, trace_processing, tuning
from small_jobs import write_jobs
from small_runs import Runs

from distil_dagster.config.sections import Base, Evaluation, Synthgen, TraceProcessing, Tuning

SECTIONS = {
    "base": (Base, base.cases),
    "tuning": (Tuning, tuning.cases),
    "evaluation": (Evaluation, evaluation.cases),
    "synthgen": (Synthgen, synthgen.cases),
    "trace_processing": (TraceProcessing, trace_processing.cases),
}
PARAMETERS = [f"{name}.{field}" for name, (section, _) in SECTIONS.items() for field in section.model_fields]
CASES = {f"{name}.{field}": case for name, (_, cases) in SECTIONS.items() for field, case in cases.by_parameter.items()}


@pytest.fixture(scope="module")
def runs(tmp_path_factory, case, tiny_student) -> Runs:
    return Runs(tmp_path_factory.mktemp, write_jobs(tmp_path_factory.mktemp("small-jobs"), case), tiny_student)


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_a_parameter_does_what_it_says(parameter, runs):
    assert parameter in CASES, f"{parameter} has no case in tests/parameter_cases"
    CASES[parameter](runs)


@pytest.mark.parametrize("parameter", CASES)
def test_a_case_fails_where_its_parameter_is_ignored(parameter, runs):
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        CASES[parameter](runs.ignoring(parameter))


def test_every_case_is_about_a_parameter_that_exists():
    assert set(CASES) <= set(PARAMETERS)
