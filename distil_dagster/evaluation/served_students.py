"""The students that are or were in service, and the pointer to the one that is, among the other artefacts."""

from __future__ import annotations

from distil_dagster.data.store import ArtefactStore
from distil_dagster.evaluation.in_service import InService, ServedStudent

POINTER = "in_service"
STUDENTS = "served_students"
_KEPT = 5


def pointer_of(store: ArtefactStore, partition: str) -> InService:
    """The pointer of a configuration; an empty one before anything was in service."""
    try:
        return store.load(POINTER, partition, InService)
    except FileNotFoundError:
        return InService([])


def keep_student(store: ArtefactStore, partition: str, version: str, student: ServedStudent) -> None:
    """Keep a student for as long as it is in service, and for a rollback to it after that."""
    store.save(STUDENTS, _name(partition, version), student)


def served_student(store: ArtefactStore, partition: str, version: str) -> ServedStudent:
    """A student that is or was in service.

    Raises:
        FileNotFoundError: it is not kept any more.
    """
    return store.load(STUDENTS, _name(partition, version), ServedStudent)


def kept_versions(store: ArtefactStore, partition: str, pointer: InService) -> list[str]:
    """The versions that a rollback can go back to, and the one in service; the latest first."""
    versions = dict.fromkeys(entry.version for entry in reversed(pointer.history) if entry.action != "refused")
    return [version for version in versions if store.exists(STUDENTS, _name(partition, version))]


def forget_old_students(store: ArtefactStore, partition: str, pointer: InService) -> None:
    """Keep the one in service and the few before it; the history remembers the others."""
    others = [version for version in kept_versions(store, partition, pointer) if version != pointer.current]
    for version in others[_KEPT - 1 :]:
        store.remove(STUDENTS, _name(partition, version))


def _name(partition: str, version: str) -> str:
    return f"{partition}@{version}"
