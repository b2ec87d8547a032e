import pytest

from distil_dagster.data.store import ArtefactStore
from distil_dagster.evaluation.in_service import InService, ServedStudent, ServiceEntry
from distil_dagster.evaluation.served_students import (
    POINTER,
    forget_old_students,
    keep_student,
    kept_versions,
    pointer_of,
    served_student,
)


@pytest.fixture
def store(tmp_path) -> ArtefactStore:
    return ArtefactStore(tmp_path / "artefacts")


@pytest.fixture
def keep(store, tmp_path):
    """Puts a student into service, as a run does."""

    def keep(version: str, pointer: InService) -> InService:
        bundle = tmp_path / version
        bundle.mkdir()
        (bundle / "prompt.json").write_text(version)
        keep_student(store, "letters", version, ServedStudent(bundle, ["what"], "sft"))
        entry = ServiceEntry(at="2026-01-01T00:00:00+00:00", version=version, action="promoted", reason="good")
        return pointer.after(entry)

    return keep


def test_before_anything_was_in_service_the_pointer_is_empty(store):
    assert pointer_of(store, "letters") == InService([])


def test_a_pointer_is_read_back_with_its_history(store, keep):
    pointer = keep("a", InService([]))
    store.save(POINTER, "letters", pointer)
    assert pointer_of(store, "letters") == pointer


def test_a_student_keeps_its_bundle_when_the_latest_bundle_is_replaced(store, keep, tmp_path):
    keep("a", InService([]))
    (tmp_path / "a" / "prompt.json").unlink()
    assert (served_student(store, "letters", "a").bundle / "prompt.json").read_text() == "a"


def test_the_latest_five_are_kept_and_the_one_in_service_in_any_case(store, keep):
    pointer = InService([])
    for version in "abcdefg":
        pointer = keep(version, pointer)
    back = ServiceEntry(at="2026-01-02T00:00:00+00:00", version="b", action="rolled back", reason="better")
    pointer = pointer.after(back)
    forget_old_students(store, "letters", pointer)
    assert kept_versions(store, "letters", pointer) == ["b", "g", "f", "e", "d"]
    with pytest.raises(FileNotFoundError):
        served_student(store, "letters", "a")
