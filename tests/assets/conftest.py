import os

import dagster as dg
import pytest
from projects import opened_project


@pytest.fixture(scope="module", autouse=True)
def warm(workers):
    """Training programs of these tests begin with their libraries loaded."""
    with workers.in_force():
        yield


@pytest.fixture
def project(tmp_path, case, small_config):
    with opened_project(tmp_path, case, small_config) as project:
        yield project


@pytest.fixture(scope="module")
def shared_project(tmp_path_factory, case, small_config):
    """A project for the tests of one module."""
    with opened_project(tmp_path_factory.mktemp("shared"), case, small_config) as project:
        yield project


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory, case, small_config, workers):
    """A project after one run of everything, the run's result and instance, and the environment of all that."""
    before = dict(os.environ)
    with (
        opened_project(tmp_path_factory.mktemp("finished"), case, small_config) as project,
        dg.instance_for_test() as instance,
    ):
        with workers.in_force():
            result = project.run(instance=instance)
        environment = {name: value for name, value in os.environ.items() if before.get(name) != value}
        # Tests of other modules run before this is closed.
        for name in environment:
            restore(name, before.get(name))
        yield project, result, instance, environment


@pytest.fixture
def finished(finished_run, monkeypatch):
    """A project after one run of everything, the run's result, and its instance."""
    *finished, environment = finished_run
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return finished


def restore(name: str, value: str | None) -> None:
    if value is None:
        del os.environ[name]
    else:
        os.environ[name] = value
