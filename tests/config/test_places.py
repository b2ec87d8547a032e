from collections.abc import Callable
from pathlib import Path

import pytest

from distil_dagster.config import LoadedConfig, load_config
from distil_dagster.errors import ConfigError

Load = Callable[..., LoadedConfig]

MINIMAL = "base:\n  task: classification\n"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("configs/banking.yaml", "banking"),
        ("configs/v1.2.json", "v1.2"),
        ("jobs/banking/config.yaml", "banking"),
        ("jobs/banking/config.json", "banking"),
    ],
)
def test_a_configuration_is_named_as_its_file_or_its_folder(load: Load, file: str, name: str) -> None:
    text = MINIMAL if file.endswith("yaml") else '{"base": {"task": "classification"}}'

    assert load(text, name=file).name == name


def test_a_plain_config_in_the_working_folder_has_a_name_too(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write(MINIMAL, "jobs/banking/config.yaml").parent)

    loaded = load_config(Path("config.yaml"))
    assert (loaded.name, loaded.path) == ("banking", Path("config.yaml"))
    assert loaded.data_folder.is_absolute()


class TestDataFolder:
    """Where a job's data is looked for."""

    def test_a_given_path_is_relative_to_the_file(self, load: Load, tmp_path: Path) -> None:
        loaded = load(MINIMAL + "data:\n  path: ../elsewhere\n", name="configs/banking.yaml")

        assert loaded.data_folder.resolve() == (tmp_path / "elsewhere").resolve()

    def test_an_absolute_path_is_taken_as_it_is(self, load: Load) -> None:
        assert load(MINIMAL + "data:\n  path: /srv/jobs\n").data_folder == Path("/srv/jobs")

    def test_a_job_description_beside_the_file_makes_its_folder_the_data(
        self, load: Load, write: Callable[..., Path], tmp_path: Path
    ) -> None:
        write("{}", "jobs/banking/job_description.json")
        write("{}", "jobs/data/banking/job_description.json")

        assert load(MINIMAL, name="jobs/banking/config.yaml").data_folder == tmp_path / "jobs/banking"

    def test_data_beside_the_configurations_folder_is_found_by_name(
        self, load: Load, write: Callable[..., Path], tmp_path: Path
    ) -> None:
        write("{}", "data/banking/job_description.json")
        write("{}", "configs/data/banking/job_description.json")

        assert load(MINIMAL, name="configs/banking.yaml").data_folder == tmp_path / "data/banking"

    def test_data_below_the_configurations_folder_is_found_by_name(
        self, load: Load, write: Callable[..., Path], tmp_path: Path
    ) -> None:
        write("{}", "configs/data/banking/job_description.json")

        assert load(MINIMAL, name="configs/banking.yaml").data_folder == tmp_path / "configs/data/banking"

    def test_where_there_is_none_yet_it_is_expected_beside(self, load: Load, tmp_path: Path) -> None:
        assert load(MINIMAL, name="configs/banking.yaml").data_folder == tmp_path / "data/banking"

    def test_a_prefix_in_a_bucket_is_no_folder(self, load: Load) -> None:
        loaded = load(MINIMAL + "data:\n  path: s3://bucket/banking\n")

        assert loaded.data_prefix == "s3://bucket/banking"
        with pytest.raises(ConfigError, match="s3://bucket/banking is no folder"):
            _ = loaded.data_folder

    def test_a_folder_is_no_prefix(self, load: Load) -> None:
        assert load(MINIMAL + "data:\n  path: bucket\n").data_prefix is None


def test_students_weights_have_no_place_of_their_own_by_default(load: Load) -> None:
    assert load(MINIMAL).students == {}


def test_a_students_weights_may_be_a_folder_beside_the_file_or_another_hub_id(
    load: Load, write: Callable[..., Path], tmp_path: Path
) -> None:
    write("{}", "weights/config.json")
    students = "data:\n  students:\n    Llama-3.2-1B-Instruct: "

    assert load(MINIMAL + students + "weights\n").students == {"Llama-3.2-1B-Instruct": str(tmp_path / "weights")}
    assert load(MINIMAL + students + "mirror/llama\n").students == {"Llama-3.2-1B-Instruct": "mirror/llama"}
