import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.config import (
    Base,
    LoadedConfig,
    PipelineConfig,
    Synthgen,
    TraceProcessing,
    Tuning,
    load_config,
)
from distil_dagster.errors import ConfigError, Problem

Load = Callable[..., LoadedConfig]
Problems = Callable[..., tuple[Problem, ...]]

MINIMAL = "base:\n  task: classification\n"
FULL: dict[str, Any] = {
    "base": {"task": "question-answering-open-book", "student_model_name": "Qwen3-0.6B", "random_seed": 11},
    "tuning": {
        "learning_rate": 3e-4,
        "learning_rate_scheduler": "constant",
        "use_lora": True,
        "lora_r": 8,
        "num_train_epochs": 2,
        "train_eval_split": 0.1,
    },
    "evaluation": {"num_few_shot_examples": 4},
    "synthgen": {"generation_target": 800, "teacher_temperature": 0.55, "mutation_topics": [["a", "b"], ["ü"]]},
    "trace_processing": {"relabel": True, "num_traces_as_training_base": 300},
    "data": {"path": "elsewhere", "models": {"*": {"model": "openai/{name}", "base_url": "http://localhost:8000"}}},
}


def places(problems: tuple[Problem, ...]) -> list[tuple[int | None, str]]:
    return [(problem.line, problem.key) for problem in problems]


def test_a_task_is_all_that_a_file_must_say(load: Load) -> None:
    loaded = load(MINIMAL)

    assert loaded.config == PipelineConfig(base=Base(task="classification"))
    assert loaded.warnings == ()


def test_yaml_and_json_say_the_same(load: Load) -> None:
    from_yaml = load(yaml.safe_dump(FULL, allow_unicode=True), name="c.yaml")
    from_json = load(json.dumps(FULL, indent="\t"), name="c.json")

    assert from_yaml.config == from_json.config == PipelineConfig.model_validate(FULL)


def test_yaml_and_json_have_the_same_mistakes_on_the_same_lines(problems: Problems) -> None:
    as_json = '{\n\t"base": {\n\t\t"task": "clasification"},\n\t"tuning": {\n\t\t"lora_r": 0,\n\t\t"lora": 1}}'
    as_yaml = "\nbase:\n  task: clasification\ntuning:\n  lora_r: 0\n  lora: 1\n"

    from_json, from_yaml = problems(as_json, name="c.json"), problems(as_yaml, name="c.yaml")
    assert places(from_json) == places(from_yaml) == [(3, "base.task"), (5, "tuning.lora_r"), (6, "tuning.lora")]
    assert [problem.message for problem in from_json] == [problem.message for problem in from_yaml]


def test_five_mistakes_are_five_errors_each_with_file_line_key_and_remedy(problems: Problems, tmp_path: Path) -> None:
    found = problems("""\
base:
  task: classificaton
  teacher_model_name: gpt-oss-120b
tuning:
  learnig_rate: 5e-5
  num_train_epochs: zero
synthgen:
  teacher_temperature: 1.7
""")

    assert places(found) == [
        (2, "base.task"),
        (3, "base.teacher_model_name"),
        (5, "tuning.learnig_rate"),
        (6, "tuning.num_train_epochs"),
        (8, "synthgen.teacher_temperature"),
    ]
    assert {problem.file for problem in found} == {str(tmp_path / "banking.yaml")}
    assert [problem.value for problem in found] == ["classificaton", "gpt-oss-120b", "5e-5", "zero", 1.7]
    remedies = [
        "classification?",
        "openai.gpt-oss-120b?",
        "learning_rate?",
        "a whole number",
        "less than or equal to 1",
    ]
    assert [remedy for problem, remedy in zip(found, remedies, strict=True) if remedy not in problem.message] == []
    assert (
        str(found[2])
        == f"{tmp_path / 'banking.yaml'}:5: tuning.learnig_rate: is not a known key; did you mean learning_rate?"
    )


def test_rules_are_checked_beside_wrong_values_that_they_do_not_read(problems: Problems) -> None:
    found = problems(
        MINIMAL + "tuning:\n  lora_r: no\n  rlvr_num_generations: 4\nsynthgen:\n  teacher_temperature: 0.9\n"
    )

    # The batch size is the reference's own, so its section stands for its place.
    assert places(found) == [
        (3, "tuning.rlvr_per_device_batch_size"),
        (4, "tuning.lora_r"),
        (7, "synthgen.teacher_temperature"),
    ]


def test_a_rule_that_reads_a_wrong_value_waits(problems: Problems) -> None:
    found = problems(
        "base:\n  task: classification\n  teacher_model_name: gpt\nsynthgen:\n  teacher_temperature: 0.9\n"
    )

    assert places(found) == [(3, "base.teacher_model_name")]


@pytest.mark.parametrize("text", ["", "tuning:\n  lora_r: 8\n", "base:\n", "base:\n  task:\n", "{}"])
def test_a_missing_task_is_told_with_the_choices(problems: Problems, text: str) -> None:
    (problem,) = problems(text)

    assert problem.key == "base.task"
    assert "choose one of question-answering, classification, " in problem.message


def test_with_a_missing_task_the_rest_is_checked_all_the_same(problems: Problems) -> None:
    assert places(problems("synthgen:\n  teacher_temperature: 0.9\n")) == [
        (None, "base.task"),
        (2, "synthgen.teacher_temperature"),
    ]


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        ("trace_procesing: {}", "trace_procesing", "did you mean trace_processing?"),
        ("relabel: true", "relabel", "belongs under trace_processing"),
        ("teacher_model_name: zai.glm-5", "teacher_model_name", "belongs under base or trace_processing"),
        ("tuning:\n  generation_target: 5", "tuning.generation_target", "belongs under synthgen, not under tuning"),
        ("tuning:\n  lora_rank: 5", "tuning.lora_rank", "did you mean lora_r?"),
        ("tuning:\n  Learning_Rate: 5", "tuning.Learning_Rate", "did you mean learning_rate?"),
        ("data:\n  folder: x", "data.folder", "known are path, models, students, budget_usd"),
        ("data:\n  models:\n    '*': {modell: x}", "data.models.*.modell", "did you mean model?"),
        ("data:\n  models:\n    glm-5: {model: x}", "data.models.glm-5", "did you mean zai.glm-5?"),
        ("data:\n  students:\n    qwen3-8b: x", "data.students.qwen3-8b", "did you mean Qwen3-8B?"),
        ("7: x", "7", "is not a known section"),
    ],
)
def test_an_unknown_name_is_answered_with_what_was_meant(problems: Problems, text: str, key: str, hint: str) -> None:
    found = {problem.key: problem for problem in problems(MINIMAL + text)}

    assert hint in found[key].message
    assert found[key].line == 2 + len(text.split("\n"))


@pytest.mark.parametrize(("text", "kind"), [("tuning: 5", "settings"), ("tuning: [lora_r]", "settings")])
def test_a_section_that_is_no_map_is_an_error(problems: Problems, text: str, kind: str) -> None:
    (problem,) = problems(MINIMAL + text)

    assert (problem.line, problem.key) == (3, "tuning")
    assert f"must be a map of {kind}" in problem.message


@pytest.mark.parametrize(("text", "name"), [("- base", "c.yaml"), ("[1]", "c.json"), ("hello", "c.yaml")])
def test_a_file_that_is_no_map_is_an_error(problems: Problems, text: str, name: str) -> None:
    assert problems(text, name=name)[0].message.startswith("must be a map of sections, not ")


def test_a_section_with_every_key_commented_out_is_empty(load: Load) -> None:
    assert load(MINIMAL + "tuning:\n  # lora_r: 8\n").config.tuning == Tuning()


def test_a_key_given_twice_is_an_error(problems: Problems) -> None:
    (problem,) = problems(MINIMAL + "tuning:\n  lora_r: 8\n  lora_r: 16\n")

    assert (problem.line, problem.key) == (5, "tuning.lora_r")


def test_numbers_that_yaml_reads_as_text_are_numbers(load: Load) -> None:
    tuning = load(MINIMAL + "tuning:\n  learning_rate: 5e-5\n  lora_r: '8'\n").config.tuning

    assert (tuning.learning_rate, tuning.lora_r) == (5e-5, 8)


def test_parallel_llm_calls_is_ignored_with_a_warning(load: Load) -> None:
    loaded = load(MINIMAL + "synthgen:\n  parallel_llm_calls: true\n")

    assert loaded.config.synthgen == Synthgen()
    (warning,) = loaded.warnings
    assert ":4: synthgen.parallel_llm_calls: " in warning


def test_convert_to_single_turn_is_kept_with_a_warning(load: Load) -> None:
    loaded = load(MINIMAL + "trace_processing:\n  convert_to_single_turn: 'false'\n")

    assert loaded.config.trace_processing == TraceProcessing(convert_to_single_turn=False)
    assert len(loaded.warnings) == 1


def test_information_extraction_is_question_answering_with_a_warning(load: Load) -> None:
    loaded = load("base:\n  task: information-extraction\n")

    assert loaded.config.base.task == "question-answering"
    assert ":2: base.task: information-extraction is the old name of question-answering" in loaded.warnings[0]


def test_settings_without_effect_are_warned_about_with_their_line(load: Load) -> None:
    loaded = load(MINIMAL + "synthgen:\n  output_is_json: true\ntuning:\n  use_lora: false\n  use_qlora: true\n")

    assert [warning.split(":", 1)[1].split(": ")[:2] for warning in loaded.warnings] == [
        ["4", "synthgen.output_is_json"],
        ["7", "tuning.use_qlora"],
    ]


def test_what_a_person_typed_lies_over_the_file_key_by_key(load: Load) -> None:
    text = MINIMAL + "tuning:\n  learning_rate: 1e-4\n  lora_r: 8\n"
    loaded = load(text, {"tuning": {"lora_r": 16}, "synthgen": {"generation_target": "50"}, "evaluation": {}})

    assert loaded.config.tuning == Tuning(learning_rate=1e-4, lora_r=16)
    assert loaded.config.synthgen == Synthgen(generation_target=50)


def test_a_typed_default_goes_before_the_file(load: Load) -> None:
    assert load(MINIMAL + "tuning:\n  lora_r: 8\n", {"tuning": {"lora_r": 64}}).config.tuning == Tuning()


def test_the_task_itself_may_be_typed(load: Load) -> None:
    assert load("", {"base": {"task": "information-extraction"}}).config.base.task == "question-answering"


def test_a_wrong_value_in_the_file_does_not_matter_where_another_was_typed(load: Load) -> None:
    assert load(MINIMAL + "tuning:\n  lora_r: 0\n", {"tuning": {"lora_r": 16}}).config.tuning.lora_r == 16


def test_problems_with_what_was_typed_come_last_and_name_the_run_config(problems: Problems) -> None:
    found = problems(
        MINIMAL + "tuning:\n  lora_r: 0\n",
        {"tuning": {"lora_rank": 1}, "synthgen": {"teacher_temperature": 0.9}, "tunin": {}},
    )

    assert [str(problem).split(": is")[0].split(": must")[0].rsplit("/", 1)[-1] for problem in found] == [
        "banking.yaml:4: tuning.lora_r",
        "run config: tuning.lora_rank",
        "run config: tunin",
        "run config: synthgen.teacher_temperature",
    ]


def test_mistakes_in_the_environments_routes_are_told_with_the_rest(
    problems: Problems, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTIL_MODELS", str(write("glm: {model: x}", "models.yaml")))
    monkeypatch.setenv("DISTIL_MODELS_OVERRIDE", str(write("glm: {model: x}", "rehearsal.yaml")))

    found = problems(MINIMAL + "tuning:\n  lora_r: 0\n")
    assert [Path(problem.file).name for problem in found] == ["banking.yaml", "rehearsal.yaml", "models.yaml"]


def outcome_of(path: Path, typed: Mapping[str, Mapping[str, Any]] | None = None) -> LoadedConfig | ConfigError:
    try:
        return load_config(path, typed or {})
    except ConfigError as error:
        return error


def is_fit_to_be_shown(outcome: LoadedConfig | ConfigError) -> bool:
    lines = outcome.warnings if isinstance(outcome, LoadedConfig) else [str(problem) for problem in outcome.problems]
    return all(line.encode("utf-8") for line in lines)


YAML_LIKE = st.text(alphabet="abc:-[]{}&*!|>'\"%@`#?,. \t\n0159~<=" + "\u2028\x00ü😀", max_size=60)
KEYS = st.sampled_from([*PipelineConfig.model_fields, *Tuning.model_fields, *Synthgen.model_fields, "x", "*"])
NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@given(text=st.text(max_size=80) | YAML_LIKE, name=st.sampled_from(["any.yaml", "any.json"]))
def test_any_text_gives_a_configuration_or_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, text: str, name: str
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(text.encode("utf-8", "surrogatepass"))

    assert is_fit_to_be_shown(outcome_of(path))


@given(content=NESTED | st.fixed_dictionaries({"base": st.just({"task": "classification"}), "data": NESTED}))
def test_any_content_gives_a_configuration_or_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, content: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(content))

    assert is_fit_to_be_shown(outcome_of(path))


@given(settings=st.dictionaries(st.sampled_from(sorted(Tuning.model_fields)), NESTED, max_size=5))
def test_any_typed_values_give_a_configuration_or_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, settings: dict[str, Any]
) -> None:
    path = tmp_path_factory.getbasetemp() / "typed.yaml"
    path.write_text(MINIMAL)
    outcome = outcome_of(path, {"tuning": settings})

    assert is_fit_to_be_shown(outcome)
    assert isinstance(outcome, LoadedConfig) or {problem.file for problem in outcome.problems} == {"run config"}


@pytest.mark.parametrize(
    "text",
    [
        "base: &a\n  task: classification\n  x: *a\n",
        "data:\n  models: &m\n    '*': {model: x, extra: *m}\n",
        "tuning: {learning_rate: 1" + "0" * 400 + ", lora_r: 1" + "0" * 30 + "}\n",
        "base: !!set {task}\n",
        "base: !!binary aGVsbG8=\n",
        "base: {task: 2024-01-01}\n",
        "base:\n\ttask: classification\n",
    ],
)
def test_texts_that_break_naive_readers_are_refused_as_ours(tmp_path: Path, text: str) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError):
        load_config(path)


@pytest.mark.cases
@pytest.mark.parametrize(
    "path", sorted(Path(__file__).parents[3].glob("shared/cases/*/config.yaml")), ids=lambda p: p.parent.name
)
def test_the_configurations_of_the_example_cases_load(path: Path) -> None:
    loaded = load_config(path)

    assert loaded.name == path.parent.name
    assert loaded.data_folder == path.parent
