"""One version of Dagster, and one of this package, in all files of deploy/ and on the page about them."""

import re
import tomllib

from deploy.deployment import DEPLOY, ROOT, constraints, read_json, read_yaml

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
PAGE = ROOT / "docs/deployment.md"


def texts() -> dict[str, str]:
    files = [PAGE, *(path for path in DEPLOY.rglob("*") if path.is_file() and "__pycache__" not in path.parts)]
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in files}


def test_images_of_dagster_and_the_chart_have_the_version_of_the_constraints():
    version = constraints()["dagster"]
    values = read_yaml(DEPLOY / "helm/values.yaml")
    assert {values[part]["image"]["tag"] for part in ("dagsterWebserver", "dagsterDaemon")} == {version}
    named = {found for text in texts().values() for found in re.findall(r"dagster/dagster --version (\S+)", text)}
    assert named == {version}


def test_libraries_of_dagster_are_of_one_release():
    minor, patch = constraints()["dagster"].split(".")[1:]
    for library in ("dagster-aws", "dagster-k8s", "dagster-postgres"):
        assert constraints()[library] == f"0.{int(minor) + 16}.{patch}"
    assert constraints()["dagster-webserver"] == constraints()["dagster"]


def test_our_images_have_the_version_of_the_package():
    named = {
        (file, tag)
        for file, text in texts().items()
        for tag in re.findall(r"distil-dagster-(?:cpu|cuda):([\w.]+)", text)
    }
    assert {tag for _, tag in named} == {VERSION}
    (code,) = read_yaml(DEPLOY / "helm/values.yaml")["dagster-user-deployments"]["deployments"]
    assert code["image"]["tag"] == VERSION
    images = {read_json(path)["containerDefinitions"][0]["image"] for path in (DEPLOY / "ecs").glob("task-*.json")}
    assert {image.rpartition(":")[2] for image in images} == {VERSION}
