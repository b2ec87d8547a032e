from collections.abc import Callable
from typing import Any

import pytest

from distil_dagster.config import PipelineConfig, students, teachers
from distil_dagster.config.rules import errors_in, warnings_in

Configured = Callable[..., PipelineConfig]

TOOL_TASKS = ["tool-calling-closed-book", "multi-turn-tool-calling-closed-book"]
TOOL_FAMILIES = ("Qwen3", "Llama-3", "LFM2", "functiongemma")


def keys_of(problems: list[Any]) -> list[str]:
    return [problem.key for problem in problems]


@pytest.mark.parametrize(
    "task", ["classification", "question-answering", "question-answering-open-book", "question-answering-closed-book"]
)
def test_the_defaults_break_no_rule_and_raise_no_doubt(configured: Configured, task: str) -> None:
    assert errors_in(configured(task)) == []
    assert warnings_in(configured(task)) == []


@pytest.mark.parametrize("task", TOOL_TASKS)
def test_the_defaults_suit_tool_tasks_too(configured: Configured, task: str) -> None:
    assert errors_in(configured(task)) == []
    assert warnings_in(configured(task)) == []


@pytest.mark.parametrize("teacher", sorted(teachers()))
@pytest.mark.parametrize("temperature", [0.0, 0.49, 0.5, 0.6, 0.7, 0.71, 1.0])
def test_a_reasoning_teacher_needs_a_temperature_between_a_half_and_seven_tenths(
    configured: Configured, teacher: str, temperature: float
) -> None:
    config = configured(base={"teacher_model_name": teacher}, synthgen={"teacher_temperature": temperature})
    thinks = teacher.startswith(("openai.gpt-oss", "deepseek", "zai.glm", "moonshotai.kimi", "minimax"))

    expected = ["synthgen.teacher_temperature"] if thinks and not 0.5 <= temperature <= 0.7 else []
    assert keys_of(errors_in(config)) == expected


def test_the_broken_window_is_told_with_value_bounds_and_teacher(configured: Configured) -> None:
    (problem,) = errors_in(configured(synthgen={"teacher_temperature": 0.9}))

    assert problem.value == 0.9
    assert problem.message == "must be between 0.5 and 0.7, not 0.9: openai.gpt-oss-120b is a reasoning model"


@pytest.mark.parametrize("task", TOOL_TASKS)
@pytest.mark.parametrize("student", sorted(students()))
def test_tool_tasks_take_only_students_of_the_four_families(configured: Configured, task: str, student: str) -> None:
    problems = errors_in(configured(task, base={"student_model_name": student}))

    assert keys_of(problems) == ([] if student.startswith(TOOL_FAMILIES) else ["base.student_model_name"])


def test_other_tasks_take_every_student(configured: Configured) -> None:
    for student in students():
        assert errors_in(configured(base={"student_model_name": student})) == []


@pytest.mark.parametrize("teacher", sorted(teachers()))
def test_multi_turn_takes_only_tool_tested_teachers(configured: Configured, teacher: str) -> None:
    problems = errors_in(configured("multi-turn-tool-calling-closed-book", base={"teacher_model_name": teacher}))

    assert keys_of(problems) == ([] if teachers()[teacher].tool_tested else ["base.teacher_model_name"])


def test_single_turn_tools_take_every_teacher(configured: Configured) -> None:
    for teacher in teachers():
        assert errors_in(configured("tool-calling-closed-book", base={"teacher_model_name": teacher})) == []


@pytest.mark.parametrize(
    ("batch", "group", "suggested"), [(6, 4, 8), (5, 6, 6), (1, 6, 6), (13, 6, 12), (12, 6, None), (8, 2, None)]
)
def test_an_rlvr_batch_holds_whole_groups(
    configured: Configured, batch: int, group: int, suggested: int | None
) -> None:
    tuning = {"rlvr_per_device_batch_size": batch, "rlvr_num_generations": group, "rlvr_dataset_size": 0.1}
    problems = errors_in(configured(tuning=tuning))

    if suggested is None:
        assert problems == []
    else:
        (problem,) = problems
        assert f"({group}), such as {suggested}, not {batch}" in problem.message


def test_all_broken_rules_are_told_at_once(configured: Configured) -> None:
    config = configured(
        "multi-turn-tool-calling-closed-book",
        base={"student_model_name": "gemma-3-1b-it", "teacher_model_name": "deepseek.v3.1"},
        synthgen={"teacher_temperature": 1},
        tuning={"rlvr_num_generations": 4},
    )

    assert keys_of(errors_in(config)) == [
        "synthgen.teacher_temperature",
        "base.student_model_name",
        "base.teacher_model_name",
        "tuning.rlvr_per_device_batch_size",
    ]


def test_a_rule_that_reads_an_unknown_setting_is_passed_over(configured: Configured) -> None:
    config = configured(synthgen={"teacher_temperature": 1}, tuning={"rlvr_num_generations": 4})

    assert keys_of(errors_in(config, {"base.teacher_model_name"})) == ["tuning.rlvr_per_device_batch_size"]


IDLE = [
    ("question-answering", "synthgen", {"match_generated_distribution_to_seed": True}),
    ("question-answering", "synthgen", {"num_negative_exemplars_per_generation": 5}),
    ("classification", "synthgen", {"output_is_json": True}),
    ("tool-calling-closed-book", "synthgen", {"output_is_json": True}),
    ("question-answering-closed-book", "synthgen", {"num_distractor_context_blocks": 2}),
    ("classification", "synthgen", {"num_distractor_context_blocks": 2}),
    ("question-answering-open-book", "synthgen", {"generation_per_unstructured_context": 4}),
    ("tool-calling-closed-book", "evaluation", {"expand_tool_calling_turns": False}),
    ("classification", "tuning", {"use_lora": False, "use_qlora": True}),
    ("classification", "tuning", {"use_lora": False, "lora_r": 8}),
    ("classification", "tuning", {"use_lora": False, "lora_alpha_multiplier": 2}),
    ("classification", "tuning", {"rlvr_llm_as_a_judge_model_name": "zai.glm-5"}),
    ("classification", "tuning", {"rlvr_per_device_batch_size": 12}),
    ("classification", "tuning", {"rlvr_num_generations": 3}),
    ("classification", "tuning", {"rlvr_num_train_epochs": 2}),
    ("classification", "trace_processing", {"relevance_filtering": False, "min_relevance_score": 2}),
    ("classification", "trace_processing", {"relevance_filtering": False, "min_coherence_score": 2}),
    ("classification", "trace_processing", {"relevance_filtering": False, "relevance_filtering_batch_size": 2}),
    ("classification", "trace_processing", {"relevance_filtering": False, "compress_job_description": True}),
    ("classification", "trace_processing", {"relabel": False, "relabelling_committee_models": ["zai.glm-5"]}),
]


@pytest.mark.parametrize(("task", "section", "settings"), IDLE)
def test_a_setting_without_effect_is_a_warning_and_no_error(
    configured: Configured, task: str, section: str, settings: dict[str, Any]
) -> None:
    config = configured(task, **{section: settings})
    (warning,) = warnings_in(config)

    assert errors_in(config) == []
    assert warning.key == f"{section}.{list(settings)[-1]}"
    assert "has no effect: " in warning.message


@pytest.mark.parametrize(
    ("task", "section", "settings"),
    [
        ("classification", "synthgen", {"match_generated_distribution_to_seed": True}),
        ("classification", "synthgen", {"num_negative_exemplars_per_generation": 5}),
        ("question-answering", "synthgen", {"output_is_json": True}),
        ("question-answering-open-book", "synthgen", {"output_is_json": True, "num_distractor_context_blocks": 2}),
        ("question-answering-closed-book", "synthgen", {"generation_per_unstructured_context": 4}),
        ("multi-turn-tool-calling-closed-book", "evaluation", {"expand_tool_calling_turns": False}),
        ("classification", "tuning", {"use_qlora": True, "lora_r": 8}),
        ("classification", "tuning", {"rlvr_dataset_size": 0.2, "rlvr_num_train_epochs": 2}),
        ("classification", "trace_processing", {"min_relevance_score": 2, "compress_job_description": True}),
        ("classification", "trace_processing", {"relabelling_committee_models": ["zai.glm-5"]}),
    ],
)
def test_the_same_settings_raise_no_doubt_where_they_count(
    configured: Configured, task: str, section: str, settings: dict[str, Any]
) -> None:
    assert warnings_in(configured(task, **{section: settings})) == []


def test_a_target_that_the_contexts_overrule_is_a_warning(configured: Configured) -> None:
    synthgen = {"generation_target": 1000, "generation_per_unstructured_context": 8}
    (warning,) = warnings_in(configured("question-answering-closed-book", synthgen=synthgen))

    assert warning.key == "synthgen.generation_target"


def test_a_doubt_about_an_unknown_setting_is_not_raised(configured: Configured) -> None:
    config = configured(tuning={"use_lora": False, "lora_r": 8})

    assert warnings_in(config, {"tuning.use_lora"}) == []
    assert warnings_in(config, {"tuning.lora_r"}) == []


def test_untested_models_that_relabel_conversations_are_doubted(configured: Configured) -> None:
    processing = {
        "teacher_model_name": "Qwen2.5-VL-72B-Instruct",
        "relabelling_committee_models": ["zai.glm-5", "deepseek.v3.1"],
    }
    task = "multi-turn-tool-calling-closed-book"
    warnings = warnings_in(configured(task, trace_processing=processing))

    assert [warning.message.split()[0] for warning in warnings] == ["Qwen2.5-VL-72B-Instruct", "deepseek.v3.1"]
    assert (
        warnings_in(configured(task, trace_processing={"teacher_model_name": "deepseek.v3.1", "relabel": False})) == []
    )


def test_a_teacher_that_cannot_see_the_images_in_traces_is_doubted(configured: Configured) -> None:
    processing = {"observation_format": "openai_messages_with_images"}
    seeing = {"teacher_model_name": "moonshotai.kimi-k2.5"}

    doubted = warnings_in(configured(trace_processing=processing))
    assert keys_of(doubted) == ["base.teacher_model_name"]
    assert warnings_in(configured(base=seeing, trace_processing=processing)) == []


def test_leaving_nothing_for_supervised_training_is_doubted(configured: Configured) -> None:
    assert keys_of(warnings_in(configured(tuning={"rlvr_dataset_size": 1}))) == ["tuning.rlvr_dataset_size"]


def test_fewer_conversations_than_examples_demanded_are_doubted(configured: Configured) -> None:
    few = {"num_traces_as_training_base": 10}

    (warning,) = warnings_in(configured("multi-turn-tool-calling-closed-book", trace_processing=few))
    assert "10 traces cannot give the 20 examples" in warning.message
    # A trace of a single-turn task gives an example for each of its answers.
    assert warnings_in(configured("classification", trace_processing=few)) == []
