import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from deploy.deployment import DEPLOY, DOCKERFILES, ROOT, constraints, instructions

each_dockerfile = pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)


def arguments(dockerfile: Path) -> dict[str, str]:
    return dict(rest.split("=", 1) for name, rest in instructions(dockerfile) if name == "ARG")


def copied(dockerfile: Path) -> list[str]:
    """What comes from the checkout, with the defaults of build arguments put in."""
    sources = []
    for name, rest in instructions(dockerfile):
        if name == "COPY" and not rest.startswith("--from="):
            sources += rest.split()[:-1]
    values = arguments(dockerfile)
    return [re.sub(r"\$\{(\w+)\}", lambda match: values[match[1]], source) for source in sources]


def test_there_is_one_for_each_kind_of_machine():
    assert [path.name for path in DOCKERFILES] == ["cpu.Dockerfile", "cuda.Dockerfile"]


@each_dockerfile
def test_hadolint_finds_nothing(dockerfile):
    done = subprocess.run([Path(sys.executable).with_name("hadolint"), dockerfile], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_hadolint_would_find_something(tmp_path):
    careless = tmp_path / "Dockerfile"
    careless.write_text("FROM python:latest\nRUN pip install torch\n", encoding="utf-8")
    done = subprocess.run([Path(sys.executable).with_name("hadolint"), careless], capture_output=True, text=True)
    assert "DL3007" in done.stdout
    assert "DL3013" in done.stdout


@each_dockerfile
def test_what_is_copied_is_there_and_not_ignored(dockerfile):
    ignored = dockerfile.with_name(f"{dockerfile.name}.dockerignore").read_text(encoding="utf-8").splitlines()
    kept = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    sources = copied(dockerfile)
    assert {"distil_dagster", "constraints.txt", "configs"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
        assert source.split("/")[0] in kept, source


@each_dockerfile
def test_what_is_not_named_stays_out_and_so_do_secrets(dockerfile):
    ignored = dockerfile.with_name(f"{dockerfile.name}.dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {"**/.env", "**/keys.env", "**/secrets.env"} <= set(rules[rules.index("!deploy") :])


@each_dockerfile
def test_base_images_have_a_full_version_and_are_the_same(dockerfile):
    bases = [rest.split()[0] for name, rest in instructions(dockerfile) if name == "FROM"]
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", bases[0])


@each_dockerfile
def test_packages_have_the_versions_of_the_constraints(dockerfile):
    installs = [step for name, rest in instructions(dockerfile) if name == "RUN" for step in rest.split("&&")]
    installs = [step for step in installs if "pip install" in step]
    assert len(installs) == 3
    assert all("--constraint constraints.txt" in step for step in installs)
    assert "torch" in installs[0].split(), "torch comes first, or the resolver takes another build of it"


@each_dockerfile
def test_it_runs_as_nobody_in_particular_and_says_how_it_is(dockerfile):
    found = instructions(dockerfile)
    after_last_from = found[max(at for at, (name, _) in enumerate(found) if name == "FROM") :]
    named = dict(after_last_from)
    assert named["USER"] == "10001:10001"
    assert "grpc-health-check" in named["HEALTHCHECK"]
    assert named["CMD"] == '["distil-code-server"]'
    # Kubernetes and ECS give whole commands; an entry point would stand before them.
    assert "ENTRYPOINT" not in named


@each_dockerfile
def test_nothing_that_looks_like_a_secret_is_in_it(dockerfile):
    values = " ".join(rest for name, rest in instructions(dockerfile) if name in ("ENV", "ARG"))
    assert not re.search(r"(KEY|TOKEN|PASSWORD|SECRET|JOURNAL)\w*=", values)


def test_the_two_differ_in_torch_and_what_a_gpu_needs_only():
    cpu, cuda = (set(instructions(path)) for path in DOCKERFILES)
    assert {name for name, _ in cpu - cuda} <= {"ARG", "RUN", "ENV"}
    assert arguments(DOCKERFILES[0])["TORCH_INDEX"].endswith("/cpu")
    assert arguments(DOCKERFILES[1])["TORCH_INDEX"] == "https://pypi.org/simple"


def test_requirements_are_those_of_the_package_and_of_the_extras_that_are_named():
    command = [sys.executable, DEPLOY / "docker/requirements.py", ROOT / "pyproject.toml", "cluster", "qlora"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    assert printed == [*project["dependencies"], *extras["cluster"], *extras["qlora"]]
    names = {re.split(r"[<>=; ]", line)[0] for line in printed}
    assert {normal(name) for name in names} <= {normal(name) for name in constraints()}


def normal(package: str) -> str:
    return package.lower().replace("_", "-")


@pytest.mark.parametrize("script", sorted((DEPLOY / "docker/entrypoints").iterdir()), ids=lambda path: path.name)
def test_entry_points_are_programs_that_give_way_to_dagsters(script):
    assert script.stat().st_mode & 0o111
    subprocess.run(["sh", "-n", script], check=True)
    command = script.read_text(encoding="utf-8").split("exec ")[1].replace("\\\n", " ").split()
    program = Path(sys.executable).with_name(command[0])
    words = [word for word in command[1:] if not word.startswith("-")][:2]
    subcommand = {"dagster": words[:2], "dagster-daemon": words[:1], "dagster-webserver": []}[command[0]]
    shown = subprocess.run([program, *subcommand, "--help"], capture_output=True, text=True, check=True).stdout
    for option in (word for word in command if word.startswith("--")):
        assert option in shown, option
