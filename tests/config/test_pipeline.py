import json
from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from distil_dagster.config import (
    Base,
    DataSettings,
    PipelineConfig,
    Route,
    Synthgen,
    Tuning,
    effective,
    non_default,
)

Configured = Callable[..., PipelineConfig]


def test_a_configuration_is_built_in_python_from_its_sections() -> None:
    config = PipelineConfig(
        base=Base(task="classification"),
        tuning=Tuning(learning_rate=1e-4),
        data=DataSettings(models={"*": Route(model="openai/{name}")}),
    )

    assert config.tuning.learning_rate == 1e-4
    assert config.synthgen == Synthgen()
    assert config.data.models["*"].model == "openai/{name}"


def test_a_configuration_does_not_change() -> None:
    config = PipelineConfig(base=Base(task="classification"))

    with pytest.raises(ValidationError):
        config.base = Base(task="question-answering")


def test_two_configurations_share_no_mutable_default() -> None:
    first, second = (PipelineConfig(base=Base(task="classification")) for _ in range(2))
    first.data.students["Qwen3-0.6B"] = "weights"

    assert second.data.students == {}


@pytest.mark.parametrize(
    "data",
    [
        {"models": {"gpt-5": {"model": "openai/gpt-5"}}},
        {"models": {"*": {"base_url": "http://localhost"}}},
        {"models": {"*": {"model": "x", "base_url": "localhost:8000"}}},
        {"models": {"*": {"model": "x", "api_key": "sk-1"}}},
        {"models": {"*": {"model": "x", "extra": {"api_key": "sk-1"}}}},
        {"models": {"*": {"model": "x", "extra": {"aws_session_token": "sk-1"}}}},
        {"models": {"*": {"model": "x", "extra": {"extra_headers": {"Authorization": "Bearer sk-1"}}}}},
        {"models": {"*": {"model": "x", "extra": {"headers": {"x-api-key": "sk-1"}}}}},
        {"models": {"*": {"model": "x", "extra": {"since": date(2026, 1, 1)}}}},
        {"students": {"Qwen4": "folder"}},
        {"budget_usd": -1},
        {"budget_usd": float("nan")},
        {"path": ""},
        {"redistil_on": "always"},
        {"drift_alpha": 0.0009},
        {"drift_alpha": 1},
        {"min_new_traces": 0},
        {"folder": "data"},
    ],
)
def test_data_settings_that_cannot_be_meant_are_refused(data: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DataSettings.model_validate(data)


def test_the_effective_configuration_holds_every_setting_as_json(configured: Configured) -> None:
    everything = effective(configured(tuning={"learning_rate": 1e-4}))

    assert set(everything) == {"base", "tuning", "evaluation", "synthgen", "trace_processing", "data"}
    assert everything["tuning"]["learning_rate"] == 1e-4
    assert everything["tuning"]["lora_r"] == 64
    assert json.loads(json.dumps(everything)) == everything


def test_the_effective_configuration_read_again_is_the_same(configured: Configured) -> None:
    config = configured(synthgen={"mutation_topics": ["cards", "loans"]}, data={"models": {"*": {"model": "x"}}})

    assert PipelineConfig.model_validate(effective(config)) == config


def test_what_is_not_default_leaves_out_what_is(configured: Configured) -> None:
    config = configured(tuning={"learning_rate": 5e-5, "lora_r": 8}, synthgen={"mutation_topics": []})

    assert non_default(config) == {"base": {"task": "classification"}, "tuning": {"lora_r": 8}}


@given(lora_r=st.integers(1, 512), epochs=st.integers(1, 50), topics=st.lists(st.text(min_size=1)))
def test_what_is_not_default_makes_the_same_configuration_again(lora_r: int, epochs: int, topics: list[str]) -> None:
    config = PipelineConfig(
        base=Base(task="classification"),
        tuning=Tuning(lora_r=lora_r, num_train_epochs=epochs),
        synthgen=Synthgen(mutation_topics=topics),
    )

    assert PipelineConfig.model_validate(non_default(config)) == config
