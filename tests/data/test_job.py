import json

import pytest

from distil_dagster.data.job import read_job_description
from distil_dagster.errors import DataError


def test_old_names_and_extra_keys_are_accepted(tmp_path):
    (tmp_path / "job_description.json").write_text(
        json.dumps({"task_description": "t", "context_description": "i", "unknown": 1, "tools": None}),
        encoding="utf-8-sig",
    )
    job = read_job_description(tmp_path)
    assert (job.task_description, job.input_description, job.tools) == ("t", "i", ())


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "missing"), ("{", "not valid JSON"), ("[]", "one JSON object"), ("{}", "task_description")],
)
def test_errors_name_the_file_and_what_is_wrong(tmp_path, content, message):
    if content is not None:
        (tmp_path / "job_description.json").write_text(content)
    with pytest.raises(DataError, match=message) as error:
        read_job_description(tmp_path)
    assert "job_description.json" in str(error.value)
