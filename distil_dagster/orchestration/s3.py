"""S3 through dagster-aws, which is imported when a place is in a bucket, and only then."""

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from distil_dagster.config.loading import JOB_DESCRIPTION
from distil_dagster.data.job_prefix import fetch_job_files
from distil_dagster.data.objects import Prefix, StorageError
from distil_dagster.orchestration.places import work_folder

_AWS = "AWS_"
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")


def s3_client() -> Any:
    """A client as AWS's own environment variables and files say, one for all that this process does.

    Raises:
        StorageError: they name a profile that there is not, or an address that is none.
    """
    return _client(tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith(_AWS))))


def s3_prefix(url: str) -> Prefix:
    """The prefix that `s3://bucket/path` names.

    Raises:
        StorageError: it names no bucket, or there can be no client.
    """
    return Prefix.at(url, s3_client())


def fetched_data(url: str) -> Path:
    """The folder of this machine with a job's files as they are below an `s3://` prefix now.

    Raises:
        StorageError: the bucket cannot be used, or there is no job description.
    """
    return fetch_job_files(s3_prefix(url), work_folder())


def fetched_description(url: str) -> Path:
    """The same folder where only the job description is as it is now: enough to open a job, and never a large file.

    Raises:
        StorageError: the bucket cannot be used, or there is no job description.
    """
    return fetch_job_files(s3_prefix(url), work_folder(), (JOB_DESCRIPTION,))


@lru_cache(maxsize=4)
def _client(settings: tuple[tuple[str, str], ...]) -> Any:
    from dagster_aws.s3 import S3Resource

    try:
        return S3Resource(region_name=_region(dict(settings))).get_client()
    except Exception as error:  # boto3's, which only dagster-aws imports here.
        raise StorageError(f"S3 cannot be used as AWS's settings say: {error}") from error


def _region(settings: Mapping[str, str]) -> str | None:
    """boto3 itself reads the second variable only."""
    return next((settings[name] for name in _REGIONS if settings.get(name)), None)
