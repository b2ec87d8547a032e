import pytest

from distil_dagster.orchestration.places import default_root, work_folder


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISTIL_ARTEFACTS", raising=False)
    monkeypatch.delenv("DISTIL_WORK", raising=False)


@pytest.mark.parametrize(
    ("root", "work", "expected"),
    [
        (None, None, "artefacts/.work"),
        ("there", None, "there/.work"),
        ("s3://bucket/a", None, "artefacts/.work"),
        ("there", "fast", "fast"),
        ("s3://bucket/a", "fast", "fast"),
    ],
)
def test_work_stands_beside_local_artefacts_or_where_it_is_told_to(tmp_path, monkeypatch, root, work, expected):
    for name, value in (("DISTIL_ARTEFACTS", root), ("DISTIL_WORK", work)):
        if value is not None:
            monkeypatch.setenv(name, value)
    assert default_root() == (root or "artefacts")
    assert work_folder() == work_folder(root) == tmp_path / expected


def test_an_empty_variable_is_no_place(monkeypatch):
    monkeypatch.setenv("DISTIL_ARTEFACTS", "")
    assert default_root() == "artefacts"
