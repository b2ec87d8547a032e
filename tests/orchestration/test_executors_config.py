"""Settings of the executor for all runs, from the file that DISTIL_EXECUTOR names."""

import os
import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._config import process_config

from distil_dagster.errors import ConfigError
from distil_dagster.orchestration.executor_config import of_cluster, read_settings
from distil_dagster.orchestration.executors import default_executor, device_executor


@pytest.fixture
def written(tmp_path, monkeypatch):
    def write(text: str, name: str = "executor.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        monkeypatch.setenv("DISTIL_EXECUTOR", str(path))
        return path

    return write


def taken(executor: dg.ExecutorDefinition, typed: dict) -> dict:
    """What the executor is given for what is typed in the launchpad."""
    processed = process_config(executor.config_schema.config_type, typed)
    assert processed.success, processed.errors
    return processed.value


def mistakes(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as error:
        read_settings(path)
    return [str(problem).removeprefix(str(path)) for problem in error.value.problems]


def test_without_a_file_the_defaults_are_processes_of_this_machine(monkeypatch):
    monkeypatch.delenv("DISTIL_EXECUTOR", raising=False)
    expected = {"gpu": {"local": {"command": [], "environment": {}}}, "retries": {"enabled": {}}}
    assert taken(default_executor(), {}) == taken(device_executor, {}) == expected


FILE = """\
max_concurrent: 3
gpu:
  local:
    command: [srun, --gres=gpu:1]
    environment:
      CUDA_VISIBLE_DEVICES: {env: TEST_GPU}
"""


def test_the_files_settings_are_the_defaults_and_what_is_typed_goes_before_them_key_by_key(written, monkeypatch):
    monkeypatch.setenv("TEST_GPU", "1")
    written(FILE)
    executor = default_executor()
    command = ["srun", "--gres=gpu:1"]
    assert taken(executor, {}) == {
        "max_concurrent": 3,
        "gpu": {"local": {"command": command, "environment": {"CUDA_VISIBLE_DEVICES": "1"}}},
        "retries": {"enabled": {}},
    }
    assert taken(executor, {"max_concurrent": 1})["gpu"]["local"]["command"] == command
    typed = taken(executor, {"gpu": {"local": {"environment": {"CUDA_VISIBLE_DEVICES": "0"}}}})
    assert typed["gpu"]["local"] == {"command": command, "environment": {"CUDA_VISIBLE_DEVICES": "0"}}
    assert typed["max_concurrent"] == 3


def test_a_key_whose_last_entry_was_removed_says_nothing(written):
    written("gpu:\n  local:\n    command:\n    environment:\n")
    assert taken(default_executor(), {}) == taken(device_executor, {})


def test_typed_settings_of_a_cluster_go_before_the_files_key_by_key():
    pytest.importorskip("dagster_k8s")
    defaults = {"gpu": {"kubernetes": {"job_image": "distil:1", "job_namespace": "ml"}}}
    settings = of_cluster("kubernetes", {"job_image": "distil:2"}, defaults)
    assert (settings["job_image"], settings["job_namespace"]) == ("distil:2", "ml")
    assert "job_namespace" not in of_cluster("kubernetes", {"job_image": "distil:2"}, {"gpu": {"ecs": {}}})


def test_values_of_a_cluster_come_from_the_environment(monkeypatch):
    pytest.importorskip("dagster_k8s")
    settings = {"job_image": {"env": "TEST_IMAGE"}}
    with pytest.raises(ConfigError, match=r"gpu\.kubernetes: .*TEST_IMAGE"):
        of_cluster("kubernetes", settings, {})
    monkeypatch.setenv("TEST_IMAGE", "distil:3")
    assert of_cluster("kubernetes", settings, {})["job_image"] == "distil:3"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max_concurrent: 3\ngpus: {}\n", [":2: gpus: is not a known key; did you mean gpu?"]),
        ("max_concurrent: 0\n", [":1: max_concurrent: must be at least 1"]),
        ("max_concurrent: many\n", [":1: max_concurrent: must be a whole number, not 'many'"]),
        ("gpu:\n  local:\n    command: srun\n", [":3: gpu.local.command: must be a list, not 'srun'"]),
        (
            "gpu:\n  local:\n    command:\n    - nice\n    - -n\n    - 5\n",
            [":6: gpu.local.command.2: must be text, not 5"],
        ),
        (
            "gpu:\n  local:\n    environment:\n      CUDA_VISIBLE_DEVICES: 0\n",
            [":4: gpu.local.environment.CUDA_VISIBLE_DEVICES: must be text, not 0"],
        ),
        ("gpu:\n  slurm: {}\n", [":2: gpu.slurm: is not a known key; known are local, kubernetes, ecs"]),
        ("gpu:\n  local: {}\n  ecs: {}\n", [":1: gpu: must have exactly one of the keys local, kubernetes, ecs"]),
        (
            "tag_concurrency_limits:\n- key: a\n  limit: 1\n- kez: b\n",
            [
                ":4: tag_concurrency_limits.1.kez: is not a known key; did you mean key?",
                ":4: tag_concurrency_limits.1.key: is required, but missing",
                ":4: tag_concurrency_limits.1.limit: is required, but missing",
            ],
        ),
        ("- local\n", [": file: must be a map, not ['local']"]),
        (
            "max_concurrent: 1\nmax_concurrent: 2\n",
            [":2: max_concurrent: is given twice, first on line 1; keep one of them"],
        ),
    ],
)
def test_mistakes_name_file_line_and_key(written, text, expected):
    assert mistakes(written(text)) == expected


def test_mistakes_in_settings_of_kubernetes_name_file_line_and_key(written):
    pytest.importorskip("dagster_k8s")
    text = "gpu:\n  kubernetes:\n    job_image: distil:1\n    namespace: ml\n    env_secrets: keys\n"
    assert mistakes(written(text)) == [
        ":4: gpu.kubernetes.namespace: is not a known key; did you mean job_namespace?",
        ":5: gpu.kubernetes.env_secrets: must be a list, not 'keys'",
    ]


def test_mistakes_in_settings_of_ecs_name_file_line_and_key(written):
    assert mistakes(written("gpu:\n  ecs:\n    cpu: 4\n    memroy: 5\n")) == [
        ":4: gpu.ecs.memroy: is not a known key; did you mean memory?"
    ]


def test_an_empty_file_and_one_of_json_are_settings_too(written):
    written("# nothing yet\n")
    assert taken(default_executor(), {}) == taken(device_executor, {})
    written('{"max_concurrent": 2}', "executor.json")
    assert taken(default_executor(), {})["max_concurrent"] == 2


def test_a_file_that_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("DISTIL_EXECUTOR", str(tmp_path / "gone.yaml"))
    with pytest.raises(ConfigError, match=r"gone\.yaml: file: does not exist"):
        default_executor()


def test_local_steps_import_no_library_of_a_cluster(written):
    written("gpu:\n  local:\n    command: [nice]\n")
    load = "from distil_dagster.orchestration.executors import default_executor; default_executor()"
    code = f"import sys; {load}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert not {"kubernetes", "dagster_k8s", "dagster_aws", "boto3"} & set(loaded.stdout.split())


def test_a_library_that_is_not_installed_is_named(written, monkeypatch):
    monkeypatch.delitem(sys.modules, "distil_dagster.orchestration.kubernetes_steps", raising=False)
    monkeypatch.setitem(sys.modules, "dagster_k8s", None)
    written("gpu:\n  kubernetes: {}\n")
    with pytest.raises(ConfigError, match=r"gpu\.kubernetes: needs the package dagster_k8s: run `pip install"):
        default_executor()


@pytest.mark.parametrize("number", range(4))
def test_the_settings_that_the_documentation_shows_are_valid(written, number):
    pytest.importorskip("dagster_k8s")
    page = Path(__file__).parents[2] / "docs" / "executors.md"
    blocks = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 4
    shown = yaml.safe_load(blocks[number])
    settings = shown["execution"]["config"] if "execution" in shown else shown
    assert read_settings(written(yaml.safe_dump(settings))) == settings
