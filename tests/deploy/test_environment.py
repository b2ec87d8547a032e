"""Every environment variable that deploy/ sets is read by somebody, and stands on the page about deployment."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from deploy.deployment import (
    DEPLOY,
    DOCKERFILES,
    INSTANCES,
    ROOT,
    compose_file,
    instructions,
    read_environment,
    read_json,
    read_yaml,
)

# Who reads the variables that we do not; the programs of images of others are not here to be looked at.
READERS = {
    "AWS_": "botocore",
    "DAGSTER_": "dagster",
    "HF_": "huggingface_hub",
    "LITELLM_": "litellm",
}
IMAGES_OF_OTHERS = re.compile(
    r"POSTGRES_(USER|PASSWORD|DB)|MINIO_ROOT_(USER|PASSWORD)|NVIDIA_(VISIBLE_DEVICES|DRIVER_\w+)"
)
EVERYBODY = {"PATH", "HOME", "PYTHONUNBUFFERED", "PIP_DISABLE_PIP_VERSION_CHECK", "PIP_NO_CACHE_DIR"}
PROXIES = {"HTTPS_PROXY", "NO_PROXY"}
OF_COMPOSE = {"CONFIGS", "JOBS", "PORT", "DAGSTER_YAML"}


def variables() -> set[str]:
    found: set[str] = set()
    for dockerfile in DOCKERFILES:
        for name, rest in instructions(dockerfile):
            found |= set(re.findall(r"(\w+)=", rest)) if name == "ENV" else set()
    for service in compose_file({"POSTGRES_PASSWORD": "x"})["services"].values():
        found |= service.get("environment", {}).keys()
    for path in (DEPLOY / "ecs").glob("task-*.json"):
        (container,) = read_json(path)["containerDefinitions"]
        found |= {entry["name"] for entry in [*container["environment"], *container["secrets"]]}
    for path in [*DEPLOY.rglob("*.env"), *DEPLOY.rglob("*.env.example"), *DEPLOY.rglob(".env.example")]:
        found |= read_environment(path).keys()
    values = read_yaml(DEPLOY / "helm/values.yaml")
    found |= {entry["name"] for part in ("dagsterWebserver", "dagsterDaemon") for entry in values[part]["env"]}
    return found - OF_COMPOSE


def names_in(folder: Path, prefix: str) -> set[str]:
    texts = (path.read_text(encoding="utf-8", errors="ignore") for path in folder.rglob("*.py"))
    return {name for text in texts for name in re.findall(rf"\b{prefix}[A-Z_0-9]+", text)}


def read_by_instances() -> set[str]:
    text = "".join(path.read_text(encoding="utf-8") for path in INSTANCES)
    return set(re.findall(r"env: (\w+)", text))


def test_our_own_are_read_by_the_source():
    ours = {name for name in variables() if name.startswith("DISTIL_")}
    assert {"DISTIL_ARTEFACTS", "DISTIL_CONFIGS", "DISTIL_EXECUTOR", "DISTIL_JOURNAL", "DISTIL_WORK"} <= ours
    assert ours <= names_in(ROOT / "distil_dagster", "DISTIL_")


@pytest.mark.parametrize("prefix", READERS)
def test_those_of_libraries_are_read_by_them_or_by_our_instances(prefix):
    theirs = {name for name in variables() if name.startswith(prefix)}
    assert theirs
    package = Path(find_spec(READERS[prefix]).origin).parent
    assert theirs <= names_in(package, prefix) | read_by_instances()


def test_the_key_of_the_catalogues_provider_is_the_one_that_it_asks_for():
    import litellm

    asked = litellm.validate_environment("novita/openai/gpt-oss-120b")["missing_keys"]
    assert asked == ["NOVITA_API_KEY"]


def test_there_are_no_others():
    known = ("DISTIL_", *READERS)
    others = {name for name in variables() if not name.startswith(known) and not IMAGES_OF_OTHERS.fullmatch(name)}
    assert others - EVERYBODY - PROXIES == {"NOVITA_API_KEY", "OPENAI_API_KEY"}


def test_every_variable_of_ours_and_every_secret_is_explained():
    page = (ROOT / "docs/deployment.md").read_text(encoding="utf-8")
    own = {name for name in variables() if name.startswith(("DISTIL_", "AWS_", "HF_", "DAGSTER_", "NOVITA_"))} | PROXIES
    assert {name for name in own if f"`{name}`" not in page} == set()
