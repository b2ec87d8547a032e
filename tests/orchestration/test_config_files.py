import pytest

from distil_dagster.errors import DistilError
from distil_dagster.orchestration.config_files import config_path, config_paths


def test_files_and_folders_with_a_config_are_partitions(tmp_path):
    (tmp_path / "b.yaml").touch()
    (tmp_path / "a.json").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "config.yaml").touch()
    assert {name: path.name for name, path in config_paths(tmp_path).items()} == {
        "a": "a.json",
        "b": "b.yaml",
        "case": "config.yaml",
    }


def test_two_files_of_one_name_are_an_error_that_names_both(tmp_path):
    (tmp_path / "a.yaml").touch()
    (tmp_path / "a.json").touch()
    with pytest.raises(DistilError, match="rename one of them"):
        config_paths(tmp_path)


def test_a_configuration_that_is_gone_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("DISTIL_CONFIGS", str(tmp_path))
    with pytest.raises(DistilError, match="no configuration called gone"):
        config_path("gone")
