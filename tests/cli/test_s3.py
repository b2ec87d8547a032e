"""Jobs whose data is in a bucket, on the command line."""

import json
from dataclasses import dataclass

import pytest
import yaml
from s3 import bucket_served

from distil_dagster.cli.main import main
from distil_dagster.cli.retuning import DATA_ASSETS, branch_off
from distil_dagster.config.loading import load_config
from distil_dagster.errors import DistilError
from distil_dagster.orchestration.storage import Store

DESCRIPTION = {"task_description": "Sort.", "classes_description": {"a": "One.", "b": "Other."}}


@pytest.fixture(scope="module")
def bucket():
    with bucket_served() as served:
        served.put("good/job_description.json", json.dumps(DESCRIPTION).encode())
        served.put("good/traces.jsonl", b"{}\n")
        served.put("wrong/job_description.json", json.dumps({"task_description": "Sort."}).encode())
        served.put("empty/traces.jsonl", b"{}\n")
        yield served


@pytest.fixture
def validate(tmp_path, monkeypatch):
    """Validates a configuration whose data is below a prefix."""
    monkeypatch.setenv("DISTIL_WORK", str(tmp_path / "work"))

    def run(place: str) -> int:
        path = tmp_path / "letters.yaml"
        path.write_text(f"base: {{task: classification}}\ndata: {{path: '{place}'}}\n")
        return main(["validate", str(path)])

    return run


def test_a_job_below_a_prefix_is_ready_to_run(bucket, validate, capsys):
    assert validate(f"{bucket.url}/good") == 0
    assert "letters.yaml: classification, ready to run" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("s3://letters-bucket/wrong", "classification needs at least two classes"),
        ("s3://letters-bucket/empty", "s3://letters-bucket/empty: holds no job_description.json; put it there"),
        ("s3://no-such-bucket/a", "s3://no-such-bucket/a: there is no such bucket; make it, or correct its name"),
        ("s3:///a", "must be s3://bucket/prefix"),
    ],
)
def test_what_is_wrong_with_a_prefix_is_told_with_file_and_key(bucket, validate, capsys, place, said):
    assert validate(place) == 2
    (error, summary) = capsys.readouterr().err.splitlines()
    assert "letters.yaml: data.path: " in error
    assert said in error
    assert summary == "1 mistake; nothing was run"


def test_without_credentials_it_says_where_they_come_from(bucket, validate, capsys, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert validate(f"{bucket.url}/good") == 2
    error = capsys.readouterr().err
    assert "letters.yaml: data.path: " in error
    assert "AWS_ACCESS_KEY_ID" in error
    assert "Traceback" not in error


@dataclass(frozen=True)
class Made:
    by: str


@pytest.fixture
def loaded(bucket, tmp_path, monkeypatch):
    """A configuration whose data and artefacts are in a bucket."""
    (tmp_path / "dagster").mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    monkeypatch.setenv("DISTIL_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("DISTIL_ARTEFACTS", f"{bucket.url}/{tmp_path.name}")
    path = tmp_path / "configs" / "letters.yaml"
    path.parent.mkdir()
    path.write_text(f"base: {{task: classification}}\ndata: {{path: '{bucket.url}/good'}}\n")
    return load_config(path)


def test_a_new_configuration_over_the_same_data_takes_them_over_within_the_bucket(bucket, loaded, tmp_path):
    store = Store(root=f"{bucket.url}/{tmp_path.name}").artefacts
    with pytest.raises(DistilError, match="letters: no traces, filtered_traces"):
        branch_off(loaded, {"smaller": {}})
    for asset in DATA_ASSETS:
        store.save(asset, "letters", Made("letters"))
    (path,) = branch_off(loaded, {"smaller": {"tuning": {"lora_r": 4}}})
    written = yaml.safe_load(path.read_text())
    assert written["data"]["path"] == f"{bucket.url}/good"
    assert written["tuning"] == {"lora_r": 4}
    on_another_machine = bucket.store(tmp_path / "another", path=tmp_path.name)
    assert all(on_another_machine.load(asset, "smaller", Made) == Made("letters") for asset in DATA_ASSETS)


def test_without_a_report_or_a_bundle_in_the_bucket_it_says_so(loaded, capsys):
    for command in ("report", "serve"):
        assert main([command, str(loaded.path)]) == 1
        assert "letters: no " in capsys.readouterr().err
