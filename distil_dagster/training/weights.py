"""Where a student's weights come from: a folder, the Hub, or a package index where the Hub is out of reach."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from distil_dagster.config.catalogue import students
from distil_dagster.errors import TrainingError
from distil_dagster.training.packaged_weights import PACKAGE, PACKAGED_STUDENT, packaged_student
from distil_dagster.training.weight_files import check_model

log = logging.getLogger("distil_dagster")

CACHE_VARIABLE = "DISTIL_CACHE"
_HUB_PATIENCE_SECONDS = 5.0
_WANTED_FILES = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt"]


@dataclass(frozen=True)
class Weights:
    """A folder that transformers loads as it stands, and where it came from, for people."""

    folder: Path
    source: str


class _HubOutOfReachError(Exception):
    """The Hub does not answer, or may not be asked, and the weights are not in its local cache."""


def student_weights(name: str, overrides: Mapping[str, str], cache: Path | None = None) -> Weights:
    """The weights of the student `name`, fetched where they are not here yet.

    `overrides` is the configuration's `data.students`: a folder or a Hub id by catalogue name. `cache` holds what is
    converted on this machine; by default the folder that the variable DISTIL_CACHE names, or ~/.cache/distil_dagster.

    Raises:
        TrainingError: there are none to be had; says what to put in `data.students`.
    """
    place = overrides.get(name)
    if place is not None and _is_folder_name(place):
        return _from_folder(name, Path(place).expanduser())
    hub_id = place or students()[name].hub_id
    try:
        return Weights(_from_hub(name, hub_id), f"Hub: {hub_id}")
    except _HubOutOfReachError:
        if name != PACKAGED_STUDENT or place is not None:
            raise TrainingError(
                f"{name}: the Hugging Face Hub is out of reach and {hub_id} is not in its local cache; "
                f"fetch the weights elsewhere and name their folder: data.students: {{{name}: /path/to/folder}}"
            ) from None
    log.info("The Hub is out of reach: %s comes from the package %s", name, PACKAGE)
    return Weights(packaged_student(cache or default_cache()), f"package: {PACKAGE}, dequantized from Q4_1")


def default_cache() -> Path:
    """The folder for what is converted on this machine."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else Path.home() / ".cache" / "distil_dagster"


def _is_folder_name(place: str) -> bool:
    return place.startswith((".", "/", "~")) or Path(place).is_dir()


def _from_folder(name: str, folder: Path) -> Weights:
    try:
        check_model(folder)
    except TrainingError as error:
        raise TrainingError(f"data.students: {name}: {error}") from None
    return Weights(folder.resolve(), f"folder: {folder}")


def _from_hub(name: str, hub_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    reachable = _hub_answers()
    try:
        return Path(snapshot_download(hub_id, allow_patterns=_WANTED_FILES, local_files_only=not reachable))
    except LocalEntryNotFoundError:
        raise _HubOutOfReachError from None
    except GatedRepoError:
        raise TrainingError(
            f"{name}: {hub_id} is gated: accept its licence on the Hub and set HF_TOKEN, "
            "or name a folder with its weights in data.students"
        ) from None
    except RepositoryNotFoundError:
        raise TrainingError(f"data.students: {name}: the Hub has no {hub_id}, or HF_TOKEN may not read it") from None
    except HfHubHTTPError as error:
        raise TrainingError(f"{name}: the Hub refused {hub_id}: {error}; data.students may name a folder") from error


def _hub_answers() -> bool:
    """Ask once, without the retries with which the Hub's client would hang for minutes."""
    import httpx
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=_HUB_PATIENCE_SECONDS)
    except httpx.HTTPError:
        return False
    return True
