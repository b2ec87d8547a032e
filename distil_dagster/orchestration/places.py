"""Where things are, by the environment: artefacts, and this machine's folder for work in progress."""

import os
from pathlib import Path

from distil_dagster.data.objects import is_remote

ROOT_VARIABLE = "DISTIL_ARTEFACTS"
WORK_VARIABLE = "DISTIL_WORK"
_ROOT, _WORK = "artefacts", ".work"


def default_root() -> str:
    """What `DISTIL_ARTEFACTS` names, a folder or an `s3://` prefix, else `artefacts` in the working directory."""
    return os.environ.get(ROOT_VARIABLE) or _ROOT


def work_folder(root: str | None = None) -> Path:
    """The folder of this machine for work in progress and for copies of what is in buckets.

    What `DISTIL_WORK` names, else `.work` in the folder of artefacts; where those are in a bucket, in `artefacts`.
    """
    root = root or default_root()
    named = os.environ.get(WORK_VARIABLE)
    return Path(named or Path(_ROOT if is_remote(root) else root) / _WORK).resolve()
