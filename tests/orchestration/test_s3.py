"""Clients of S3, made by dagster-aws from AWS's own settings."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from s3 import bucket_served

from distil_dagster.data.objects import StorageError
from distil_dagster.job import open_job
from distil_dagster.orchestration.s3 import fetched_data, fetched_description, s3_client, s3_prefix

ROOT = Path(__file__).parents[2]


def test_dagster_aws_and_boto3_are_imported_only_where_a_place_is_in_a_bucket(tmp_path):
    code = (
        "import sys, distil_dagster.orchestration.storage as storage\n"
        "storage.Store(root='here').artefacts.work_folder('a', 'b')\n"
        "print(sorted({'boto3', 'botocore', 'dagster_aws'} & sys.modules.keys()))\n"
        "storage.Store(root='s3://bucket/a').artefacts\n"
        "print('dagster_aws' in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "AWS_REGION": "us-east-1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.stdout.splitlines() == ["[]", "True"], done.stderr


def test_one_client_serves_a_process_and_another_one_other_settings(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    first = s3_client()
    assert s3_client() is first
    assert first.meta.region_name == "eu-west-1"
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert s3_client().meta.region_name == "eu-north-1"
    assert s3_client().meta.endpoint_url == "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("name", "value"), [("AWS_PROFILE", "no-such-profile"), ("AWS_ENDPOINT_URL", "no address at all")]
)
def test_settings_that_cannot_be_used_are_named(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(StorageError, match=value):
        s3_client()


def test_no_secret_stands_in_a_message(monkeypatch):
    with bucket_served() as bucket:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        with pytest.raises(StorageError) as raised:
            s3_prefix(bucket.url).objects()
    assert "very-secret" not in str(raised.value)


def test_a_jobs_data_is_fetched_below_the_folder_for_work(monkeypatch, tmp_path):
    with bucket_served() as bucket:
        monkeypatch.setenv("DISTIL_WORK", str(tmp_path / "work"))
        bucket.put("jobs/letters/job_description.json", b"{}")
        folder = fetched_data(f"{bucket.url}/jobs/letters")
    assert folder.parent == tmp_path / "work" / "data"
    assert [path.name for path in folder.iterdir()] == ["job_description.json"]


def test_a_job_is_opened_with_its_description_alone(monkeypatch, tmp_path):
    with bucket_served() as bucket:
        monkeypatch.setenv("DISTIL_WORK", str(tmp_path / "work"))
        description = b'{"task_description": "Sort.", "classes_description": {"bills": "money", "boats": "ships"}}'
        bucket.put("jobs/letters/job_description.json", description)
        bucket.put("jobs/letters/traces.jsonl", b"no trace\n")
        bucket.put("jobs/letters/train.csv", b"no table")
        config = tmp_path / "letters.yaml"
        config.write_text(f"base: {{task: classification}}\ndata: {{path: {bucket.url}/jobs/letters}}\n")
        job = open_job(config, fetch=fetched_description)
    assert set(job.description.classes_description) == {"bills", "boats"}
    assert [path.name for path in job.folder.path.iterdir()] == ["job_description.json"]
