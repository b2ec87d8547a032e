import dagster as dg
import pytest
from projects import opened_project


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
def finished(tmp_path_factory, case, small_config):
    """A project after one run of everything, and the run's result."""
    with (
        opened_project(tmp_path_factory.mktemp("finished"), case, small_config) as project,
        dg.instance_for_test() as instance,
    ):
        result = project.run(instance=instance)
        yield project, result, instance
