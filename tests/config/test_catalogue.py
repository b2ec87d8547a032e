import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from pydantic import ValidationError

from distil_dagster.config import PipelineConfig, Route, route_of, students, teachers
from distil_dagster.config.catalogue import environment_routes
from distil_dagster.errors import ConfigError

Configured = Callable[..., PipelineConfig]
Write = Callable[..., Path]

STUDENTS = {
    "Llama-3.2-1B-Instruct",
    "Llama-3.2-3B-Instruct",
    "Llama-3.1-8B-Instruct",
    "SmolLM2-135M-Instruct",
    "SmolLM2-1.7B-Instruct",
    "functiongemma-270m-it",
    "gemma-3-270m-it",
    "gemma-3-1b-it",
    "gemma-3-4b-it",
    "Qwen3-0.6B",
    "Qwen3-1.7B",
    "Qwen3-4B-Instruct-2507",
    "Qwen3-8B",
    "LFM2-350M",
    "LFM2-1.2B",
    "LFM2-2.6B",
    "LFM2.5-350M",
    "LFM2.5-1.2B-Instruct",
}
REASONING_TEACHERS = {
    "openai.gpt-oss-120b",
    "openai.gpt-oss-120b-thinking",
    "openai.gpt-oss-20b",
    "openai.gpt-oss-20b-thinking",
    "deepseek.v3.1",
    "zai.glm-5",
    "zai.glm-5-thinking",
    "moonshotai.kimi-k2-thinking",
    "moonshotai.kimi-k2.5",
    "minimax.minimax-m2-thinking",
}
OTHER_TEACHERS = {"Qwen3-235B-A22B-Instruct-2507", "Qwen3-480B-A35B-Coder", "Qwen2.5-VL-72B-Instruct"}
NOT_TOOL_TESTED = {
    "openai.gpt-oss-20b-thinking",
    "deepseek.v3.1",
    "Qwen3-480B-A35B-Coder",
    "Qwen2.5-VL-72B-Instruct",
}


def test_the_students_are_those_of_the_reference() -> None:
    assert set(students()) == STUDENTS


def test_the_teachers_are_those_of_the_reference() -> None:
    assert set(teachers()) == REASONING_TEACHERS | OTHER_TEACHERS


def test_the_reasoning_teachers_are_the_five_families_that_think() -> None:
    assert {name for name, teacher in teachers().items() if teacher.reasoning} == REASONING_TEACHERS


def test_the_teachers_not_named_as_tested_are_not_tool_tested() -> None:
    assert {name for name, teacher in teachers().items() if not teacher.tool_tested} == NOT_TOOL_TESTED


@pytest.mark.parametrize("name", sorted(STUDENTS))
def test_tool_formats_are_of_the_four_families_made_for_tools(name: str) -> None:
    family_format = {"Llama-3": "llama3_json", "Qwen3": "hermes", "LFM2": "lfm2", "functiongemma": "functiongemma"}
    expected = next((form for family, form in family_format.items() if name.startswith(family)), None)

    assert students()[name].tool_format == expected


@pytest.mark.parametrize("name", sorted(STUDENTS))
def test_a_student_is_found_on_the_hub_under_its_own_name(name: str) -> None:
    student = students()[name]

    assert student.name == name
    assert student.hub_id.endswith(f"/{name}")
    assert student.licence
    assert 100 <= student.parameters <= 10_000


def test_a_gpt_oss_teacher_thinks_at_medium_effort_when_named_thinking_and_little_otherwise() -> None:
    efforts = {name: teacher.effort for name, teacher in teachers().items() if "gpt-oss" in name}

    assert efforts == {name: "medium" if name.endswith("thinking") else "low" for name in efforts}
    assert teachers()["openai.gpt-oss-120b-thinking"].route.extra == {"reasoning_effort": "medium"}


def test_the_two_glm_teachers_are_one_model_asked_to_think_or_not() -> None:
    plain, thinking = teachers()["zai.glm-5"].route, teachers()["zai.glm-5-thinking"].route

    assert plain.model == thinking.model
    assert (plain.extra, thinking.extra) == ({"enable_thinking": False}, {"enable_thinking": True})


def test_every_default_route_has_a_price() -> None:
    # Found without importing litellm, which takes seconds.
    spec = find_spec("litellm")
    assert spec is not None
    assert spec.origin is not None
    priced = json.loads(Path(spec.origin).with_name("model_prices_and_context_window_backup.json").read_text("utf-8"))

    assert [name for name, teacher in teachers().items() if teacher.route.model not in priced] == []


def test_one_key_opens_every_default_route() -> None:
    assert {teacher.route.api_key_env for teacher in teachers().values()} == {"NOVITA_API_KEY"}


def test_a_route_fills_in_the_name_of_the_model() -> None:
    route = Route(model="openai/{name}@{other}", base_url="http://localhost:8000/v1")

    assert route.of("zai.glm-5").model == "openai/zai.glm-5@{other}"
    assert route.of("zai.glm-5").base_url == "http://localhost:8000/v1"


def test_a_key_in_place_of_its_variable_is_refused_without_being_quoted() -> None:
    with pytest.raises(ValidationError) as caught:
        Route(model="openai/x", api_key_env="sk-secret-123")

    assert "never the key itself" in str(caught.value.errors()[0]["msg"])
    assert "sk-secret" not in str(caught.value.errors()[0]["msg"])


def test_without_any_wish_a_teacher_is_asked_at_its_default_route(configured: Configured) -> None:
    assert route_of("zai.glm-5", configured()) == teachers()["zai.glm-5"].route


def test_a_model_of_its_own_name_goes_before_any_model(configured: Configured) -> None:
    models = {"*": {"model": "openai/{name}"}, "zai.glm-5": {"model": "zai/glm-5"}}
    config = configured(data={"models": models})

    assert route_of("zai.glm-5", config).model == "zai/glm-5"
    assert route_of("deepseek.v3.1", config).model == "openai/deepseek.v3.1"


def test_a_route_that_a_person_wrote_is_used_as_it_stands(configured: Configured) -> None:
    config = configured(data={"models": {"*": {"model": "ollama/qwen3"}}})

    assert route_of("openai.gpt-oss-120b", config) == Route(model="ollama/qwen3")


def test_the_environments_file_routes_what_the_configuration_does_not(
    configured: Configured, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "'*': {model: 'openai/{name}', base_url: http://localhost:8000/v1}\nzai.glm-5: {model: zai/glm-5}\n"
    monkeypatch.setenv("DISTIL_MODELS", str(write(text, "models.yaml")))
    config = configured(data={"models": {"deepseek.v3.1": {"model": "deepseek/deepseek-chat"}}})

    assert route_of("deepseek.v3.1", config).model == "deepseek/deepseek-chat"
    assert route_of("zai.glm-5", config).model == "zai/glm-5"
    assert route_of("minimax.minimax-m2-thinking", config).model == "openai/minimax.minimax-m2-thinking"


def test_any_model_in_the_configuration_goes_before_the_environment(
    configured: Configured, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTIL_MODELS", str(write("zai.glm-5: {model: zai/glm-5}", "models.yaml")))

    assert route_of("zai.glm-5", configured(data={"models": {"*": {"model": "ollama/qwen3"}}})).model == "ollama/qwen3"


def test_a_file_that_is_to_go_before_every_configuration_does(
    configured: Configured, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTIL_MODELS", str(write("'*': {model: 'ollama/{name}'}", "models.yaml")))
    monkeypatch.setenv("DISTIL_MODELS_OVERRIDE", str(write("'*': {model: 'openai/{name}'}", "rehearsal.yaml")))

    config = configured(data={"models": {"zai.glm-5": {"model": "zai/glm-5"}}})
    assert route_of("zai.glm-5", config).model == "openai/zai.glm-5"
    assert route_of("deepseek.v3.1", config).model == "openai/deepseek.v3.1"


def test_every_mistake_in_the_environments_file_is_named_with_its_line(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("glm-5: {model: zai/glm-5}\nzai.glm-5:\n  modle: x\nzai.glm-5: {model: y}\n", "models.yaml")
    monkeypatch.setenv("DISTIL_MODELS", str(path))

    with pytest.raises(ConfigError) as caught:
        environment_routes("DISTIL_MODELS")

    assert [(problem.line, problem.key) for problem in caught.value.problems] == [(4, "zai.glm-5"), (1, "glm-5")]
    assert "did you mean zai.glm-5?" in caught.value.problems[1].message


def test_a_missing_file_of_the_environment_is_an_error_and_an_empty_one_is_not(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTIL_MODELS", str(write("", "models.yaml")))
    assert environment_routes("DISTIL_MODELS") == {}

    monkeypatch.setenv("DISTIL_MODELS", str(tmp_path / "none.yaml"))
    with pytest.raises(ConfigError, match="does not exist"):
        environment_routes("DISTIL_MODELS")
