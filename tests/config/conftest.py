from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from distil_dagster.config import LoadedConfig, PipelineConfig, load_config
from distil_dagster.errors import ConfigError, Problem


@pytest.fixture(autouse=True)
def no_routes_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISTIL_MODELS", raising=False)
    monkeypatch.delenv("DISTIL_MODELS_OVERRIDE", raising=False)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file below a new folder and gives its path."""

    def write_file(text: str, name: str = "banking.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write_file


@pytest.fixture
def load(write: Callable[..., Path]) -> Callable[..., LoadedConfig]:
    """Loads a configuration from its text."""

    def load_text(
        text: str, typed: Mapping[str, Mapping[str, Any]] | None = None, name: str = "banking.yaml"
    ) -> LoadedConfig:
        return load_config(write(text, name), typed or {})

    return load_text


@pytest.fixture
def problems(load: Callable[..., LoadedConfig]) -> Callable[..., tuple[Problem, ...]]:
    """The problems of a configuration that cannot be used, from its text."""

    def problems_of(*args: Any, **kwargs: Any) -> tuple[Problem, ...]:
        with pytest.raises(ConfigError) as caught:
            load(*args, **kwargs)
        return caught.value.problems

    return problems_of


@pytest.fixture
def configured() -> Callable[..., PipelineConfig]:
    """A configuration of one task; further settings as `section={key: value}`."""

    def configure(task: str = "classification", **sections: dict[str, Any]) -> PipelineConfig:
        base = {"task": task} | sections.pop("base", {})
        return PipelineConfig.model_validate({"base": base, **sections})

    return configure
