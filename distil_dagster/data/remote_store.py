"""Artefacts in a bucket, with copies on this machine of those that were read or written here."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from distil_dagster.data.artefact_files import require_artefact, write_artefact
from distil_dagster.data.objects import MissingObjectError, Prefix, StorageError
from distil_dagster.data.store import UNPARTITIONED, ArtefactStore, whole_folder
from distil_dagster.data.versions import (
    CURRENT,
    LEFT_FOR,
    Manifest,
    copy_version,
    fetch_version,
    make_current,
    new_version,
    read_current,
    remove_old_versions,
    upload_version,
)

log = logging.getLogger("distil_dagster")
Result = TypeVar("Result")
_WORK = ".work"


@dataclass(frozen=True, kw_only=True)
class RemoteArtefactStore(ArtefactStore):
    """All artefacts below a prefix; `root` is the folder of this machine for copies of them.

    A copy is believed only where each file has the size and the SHA-256 that the bucket's manifest says.
    """

    prefix: Prefix

    def folder(self, name: str, partition: str | None) -> Path:
        """The folder of this machine with the artefact as it is in the bucket now; what it lacks is fetched.

        Raises:
            FileNotFoundError: it was never written.
            StorageError: the bucket cannot be used, or holds something else than was uploaded.
        """

        def fetch(manifest: Manifest) -> Path:
            target = self._copies(name, partition) / manifest.version
            if fetch_version(self._place(name, partition), manifest, target):
                # Another process may be removing the same ones.
                with suppress(OSError):
                    self._remove_old_copies(name, partition, manifest)
            return target

        return self._with_current(name, partition, fetch)

    def location(self, name: str, partition: str | None) -> str:
        """The URL of the version that holds, or of where there will be one."""
        current = self._current(name, partition)
        return self._place(name, partition).url("" if current is None else current.version)

    def exists(self, name: str, partition: str | None) -> bool:
        """Whether the artefact was ever written."""
        return self._current(name, partition) is not None

    def partitions(self, name: str) -> list[str]:
        """The partitions that have the artefact `name`, in alphabetical order."""
        return sorted(found for found in self.prefix.below(name).folders() if self.exists(name, found))

    def work_prefix(self, name: str, partition: str | None) -> Prefix | None:
        """Where other machines find what a work folder holds; `save` of that artefact empties it."""
        return self.prefix.below(_WORK, name, partition or UNPARTITIONED)

    def save(self, name: str, partition: str | None, artefact: object) -> str:
        """Write an artefact and give its location.

        Raises:
            TypeError: the artefact is not a dataclass.
            StorageError: the bucket cannot be used; the artefact that was there still holds.
        """
        require_artefact(name, artefact)
        with self._replaced(name, partition) as (version, before):
            with whole_folder(self._copies(name, partition) / version) as folder:
                write_artefact(folder, artefact)
                manifest = upload_version(self._place(name, partition), version, folder, before)
            make_current(self._place(name, partition), manifest)
        return self._place(name, partition).url(version)

    def copy(self, name: str, partition: str, new_partition: str) -> str:
        """Give another partition the artefact `name` of `partition`, within the bucket, and give its location.

        Raises:
            FileNotFoundError: it was never written.
        """
        source, place = self._place(name, partition), self._place(name, new_partition)

        def copy(manifest: Manifest) -> str:
            with self._replaced(name, new_partition) as (version, before):
                make_current(place, copy_version(source, manifest, place, version, before))
            return place.url(version)

        return self._with_current(name, partition, copy)

    def remove(self, name: str, partition: str | None) -> None:
        """Remove an artefact from the bucket and from here, where there is one; it is never seen half removed."""
        place = self._place(name, partition)
        place.delete([CURRENT])
        place.delete(state.key for state in place.objects())
        shutil.rmtree(self._copies(name, partition), ignore_errors=True)

    def _place(self, name: str, partition: str | None) -> Prefix:
        return self.prefix.below(name, partition or UNPARTITIONED)

    def _copies(self, name: str, partition: str | None) -> Path:
        return self.root / "copies" / self.prefix.bucket / self.prefix.path / name / (partition or UNPARTITIONED)

    def _current(self, name: str, partition: str | None) -> Manifest | None:
        try:
            return read_current(self._place(name, partition))
        except MissingObjectError:
            return None

    def _with_current(self, name: str, partition: str | None, use: Callable[[Manifest], Result]) -> Result:
        """Do something with the version that holds; where it was replaced meanwhile, with the one that holds then."""
        tried = None
        while True:
            manifest = self._current(name, partition)
            if manifest is None:
                raise FileNotFoundError(f"{self._place(name, partition).url()}: there is no artefact")
            if manifest.version == tried:
                where = self._place(name, partition).url(tried)
                raise StorageError(f"{where}: files of it are gone; materialize {name} again")
            try:
                return use(manifest)
            except MissingObjectError:
                tried = manifest.version

    @contextmanager
    def _replaced(self, name: str, partition: str | None) -> Iterator[tuple[str, Manifest | None]]:
        """A name for a new version, and the version before; what that makes superfluous is removed in the end."""
        before = self._current(name, partition)
        yield new_version(), before
        try:
            current = read_current(self._place(name, partition))
            remove_old_versions(self._place(name, partition), current, before, datetime.now(UTC))
            work = self.work_prefix(name, partition)
            if work is not None:
                work.delete(state.key for state in work.objects())
            self._remove_old_copies(name, partition, current)
            # Last: it takes permissions of its own, which a role may lack.
            self._place(name, partition).end_uploads(datetime.now(UTC) - LEFT_FOR)
        except (StorageError, OSError) as error:
            # The new version holds; what is left is removed by a later save.
            log.warning("old versions are left: %s", error)

    def _remove_old_copies(self, name: str, partition: str | None, current: Manifest) -> None:
        """Keep copies of the version that holds, of the one before, which may still be read, and of newer ones."""
        long_ago = (datetime.now(UTC) - LEFT_FOR).timestamp()
        for path in self._copies(name, partition).glob("*"):
            if path.name.startswith("."):
                remove = path.stat().st_mtime < long_ago
            else:
                remove = path.name < current.version and path.name != current.replaced
            if remove:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
