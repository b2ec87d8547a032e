"""`service` and `rollback`, on a pointer as runs leave it."""

import pytest

from distil_dagster.data.store import ArtefactStore
from distil_dagster.evaluation.in_service import InService, ServedStudent, ServiceEntry
from distil_dagster.evaluation.served_students import POINTER, keep_student, pointer_of


@pytest.fixture
def store(tmp_path) -> ArtefactStore:
    return ArtefactStore(tmp_path / "artefacts")


@pytest.fixture
def served(store, tmp_path):
    pointer = InService([])
    for number, version in enumerate(("first", "second"), start=1):
        bundle = tmp_path / version
        bundle.mkdir()
        (bundle / "README.md").write_text(version)
        keep_student(store, "quickstart", version, ServedStudent(bundle, [], "sft"))
        pointer = pointer.after(
            ServiceEntry(at=f"2026-01-0{number}T00:00:00+00:00", version=version, action="promoted", reason="good")
        )
    store.save(POINTER, "quickstart", pointer)


def test_before_a_run_there_is_nothing_in_service(run_cli):
    done = run_cli("service", "quickstart")
    assert done.returncode == 1
    assert "no student was in service yet, says " in done.stderr
    assert "artefacts/in_service; run `distil-dagster run quickstart` first" in done.stderr


def test_the_student_in_service_is_shown_with_its_bundle_and_history(run_cli, served):
    done = run_cli("service", "quickstart", COLUMNS="200")
    assert done.returncode == 0
    assert "quickstart: in service is second" in done.stdout
    assert "served_students/quickstart@second/bundle" in done.stdout
    assert done.stdout.count("promoted") == 2


def test_a_rollback_moves_the_pointer_and_shows_in_dagster(run_cli, served, store):
    done = run_cli("rollback", "quickstart", "--why", "complaints", COLUMNS="200")
    assert done.returncode == 0, done.stderr
    assert "in service is first" in done.stdout
    pointer = pointer_of(store, "quickstart")
    assert pointer.current == "first"
    assert (pointer.history[-1].action, pointer.history[-1].reason) == ("rolled back", "complaints")


def test_a_rollback_that_dagster_cannot_be_told_of_changes_nothing(run_cli, served, store, tmp_path):
    instance = tmp_path / "broken"
    instance.mkdir()
    (instance / "dagster.yaml").write_text("storage: {postgres: {postgres_url: {env: NO_SUCH_VARIABLE}}}\n")
    done = run_cli("rollback", "quickstart", DAGSTER_HOME=str(instance))
    assert done.returncode == 1
    assert pointer_of(store, "quickstart").current == "second"


def test_a_version_that_is_not_kept_cannot_be_rolled_back_to(run_cli, served, store):
    done = run_cli("rollback", "quickstart", "--to", "third")
    assert done.returncode == 1
    assert "third cannot be rolled back to; there are first" in done.stderr
    assert pointer_of(store, "quickstart").current == "second"
