import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from distil_dagster.config import Base, Evaluation, Section, Synthgen, TraceProcessing, Tuning

REQUIRED = object()

REFERENCE: dict[type[Section], dict[str, Any]] = {
    Base: {
        "task": REQUIRED,
        "student_model_name": "Llama-3.2-1B-Instruct",
        "teacher_model_name": "openai.gpt-oss-120b",
        "random_seed": 123,
        "llm_num_parallel_requests": 4,
    },
    Tuning: {
        "learning_rate": 5e-5,
        "learning_rate_scheduler": "linear",
        "weight_decay": 0.0,
        "warmup_ratio": 0.05,
        "bf16": True,
        "use_lora": True,
        "lora_r": 64,
        "lora_alpha_multiplier": 1,
        "per_device_train_batch_size": 1,
        "per_device_eval_batch_size": 1,
        "num_train_epochs": 4,
        "train_eval_split": 0.2,
        "gradient_accumulation_steps": 1,
        "num_few_shot_examples_student": 0,
        "memory_optimized_training": False,
        "use_qlora": False,
        "rlvr_dataset_size": 0.0,
        "rlvr_llm_as_a_judge_model_name": "openai.gpt-oss-120b",
        "rlvr_per_device_batch_size": 6,
        "rlvr_num_generations": 6,
        "rlvr_num_train_epochs": 1,
    },
    Evaluation: {
        "num_few_shot_examples": 1,
        "llm_as_a_judge_model_name": "openai.gpt-oss-120b",
        "expand_tool_calling_turns": True,
    },
    Synthgen: {
        "generation_target": 10000,
        "generation_in_single_call": 4,
        "generation_iteration_size": 128,
        "generation_per_unstructured_context": None,
        "num_positive_exemplars_per_generation": 2,
        "num_negative_exemplars_per_generation": 2,
        "num_unlabelled_exemplars_per_generation": 2,
        "validation_max_total_length": 10000,
        "validation_similarity_threshold": 0.95,
        "teacher_temperature": 0.7,
        "teacher_max_tokens": 32000,
        "match_generated_distribution_to_seed": False,
        "num_distractor_context_blocks": 0,
        "output_is_json": False,
        "basic_mutators_to_use": ["complexity"],
        "mutation_topics": [],
    },
    TraceProcessing: {
        "relabel": True,
        "relevance_filtering": True,
        "relevance_filtering_batch_size": 32,
        "min_relevance_score": 4,
        "min_coherence_score": 3,
        "num_traces_as_training_base": 200,
        "num_traces_as_testing_base": 200,
        "min_generated_examples": 20,
        "max_unstructured": 10000,
        "observation_format": "openai_messages",
        "remove_system_prompt_from_traces": True,
        "compress_job_description": False,
        "teacher_model_name": "zai.glm-5",
        "relabelling_committee_models": [],
    },
}
SETTINGS = [(section, name, default) for section, fields in REFERENCE.items() for name, default in fields.items()]
OF_OLDER_CONFIGURATIONS = {"convert_to_single_turn"}


def section_with(section: type[Section], **settings: Any) -> Section:
    return section(**({"task": "classification"} if section is Base else {}) | settings)


@pytest.mark.parametrize("section", REFERENCE)
def test_a_section_has_the_parameters_of_the_reference_and_no_others(section: type[Section]) -> None:
    assert set(section.model_fields) - OF_OLDER_CONFIGURATIONS == set(REFERENCE[section])


@pytest.mark.parametrize(("section", "name", "default"), SETTINGS)
def test_every_default_is_that_of_the_reference(section: type[Section], name: str, default: Any) -> None:
    field = section.model_fields[name]

    assert field.is_required() == (default is REQUIRED)
    if default is not REQUIRED:
        value = getattr(section_with(section), name)
        assert value == default
        assert type(value) is type(default)


@pytest.mark.parametrize(("section", "name", "default"), SETTINGS)
def test_every_parameter_says_what_it_means(section: type[Section], name: str, default: Any) -> None:
    assert (section.model_fields[name].description or "").endswith(".")


def test_the_override_of_older_configurations_is_off_by_default() -> None:
    assert TraceProcessing().convert_to_single_turn is None


@pytest.mark.parametrize(
    "task",
    [
        "question-answering",
        "classification",
        "tool-calling-closed-book",
        "multi-turn-tool-calling-closed-book",
        "question-answering-open-book",
        "question-answering-closed-book",
    ],
)
def test_every_task_of_the_reference_is_known(task: str) -> None:
    assert Base(task=task).task == task


@pytest.mark.parametrize(
    ("section", "name", "right", "wrong"),
    [
        (Base, "random_seed", [0, 123, None, 2**32 - 1], [-1, 2**32, 1.5]),
        (Base, "llm_num_parallel_requests", [1, 64], [0, -1, None]),
        (Tuning, "learning_rate", [1e-9, 1], [0, -1e-4, math.inf, math.nan]),
        (Tuning, "learning_rate_scheduler", ["linear", "cosine", "constant"], ["polynomial", ""]),
        (Tuning, "weight_decay", [0, 0.1], [-0.1]),
        (Tuning, "warmup_ratio", [0, 1], [-0.01, 1.01]),
        (Tuning, "lora_r", [1, 256], [0]),
        (Tuning, "train_eval_split", [0.01, 0.99], [0, 1, 1.5]),
        (Tuning, "rlvr_dataset_size", [0, 0.5, 1], [-0.1, 1.1]),
        (Tuning, "rlvr_num_generations", [2, 16], [1, 0]),
        (Tuning, "num_train_epochs", [1, 32], [0, 1.5]),
        (Evaluation, "num_few_shot_examples", [0, 5], [-1]),
        (Synthgen, "generation_target", [1, 10**6], [0, -5]),
        (Synthgen, "generation_per_unstructured_context", [None, 1], [0]),
        (Synthgen, "validation_similarity_threshold", [0, 1], [-0.1, 1.1]),
        (Synthgen, "teacher_temperature", [0, 1], [-0.1, 1.1]),
        (Synthgen, "basic_mutators_to_use", [[], ["length", "specificity"]], [["size"], "length", None]),
        (TraceProcessing, "min_relevance_score", [1, 5], [0, 6]),
        (TraceProcessing, "min_coherence_score", [1, 5], [0, 6]),
        (TraceProcessing, "observation_format", ["langfuse", "unstructured_with_openai_messages"], ["sharegpt"]),
        (TraceProcessing, "relabelling_committee_models", [[], ["zai.glm-5"]], [["gpt-5"], "zai.glm-5"]),
        (TraceProcessing, "convert_to_single_turn", [None, True, False], ["perhaps"]),
    ],
)
def test_bounds_let_in_what_makes_sense_and_nothing_else(
    section: type[Section], name: str, right: list[Any], wrong: list[Any]
) -> None:
    for value in right:
        assert getattr(section_with(section, **{name: value}), name) == value
    for value in wrong:
        with pytest.raises(ValidationError):
            section_with(section, **{name: value})


@pytest.mark.parametrize(("text", "number"), [("5e-5", 5e-5), ("1E-4", 1e-4), ("0.001", 0.001), (" 2e-5 ", 2e-5)])
def test_a_number_written_as_text_is_read(text: str, number: float) -> None:
    assert Tuning.model_validate({"learning_rate": text}).learning_rate == number


def test_a_whole_number_and_a_switch_written_as_text_are_read() -> None:
    tuning = Tuning.model_validate({"num_train_epochs": "3", "bf16": "false"})

    assert (tuning.num_train_epochs, tuning.bf16) == (3, False)


@pytest.mark.parametrize(
    ("section", "name"), [(Tuning, "num_train_epochs"), (Tuning, "learning_rate"), (Base, "random_seed")]
)
def test_a_switch_is_not_taken_for_a_number(section: type[Section], name: str) -> None:
    with pytest.raises(ValidationError, match="must be a number, not true"):
        section_with(section, **{name: True})


@pytest.mark.parametrize(
    ("section", "name", "wrong", "right"),
    [
        (Base, "student_model_name", "qwen3-0.6b", "Qwen3-0.6B"),
        (Base, "teacher_model_name", "gpt-oss-120b", "openai.gpt-oss-120b"),
        (Tuning, "rlvr_llm_as_a_judge_model_name", "zai.glm5", "zai.glm-5"),
        (Evaluation, "llm_as_a_judge_model_name", "deepseek-v3.1", "deepseek.v3.1"),
        (TraceProcessing, "teacher_model_name", "kimi-k2.5", "moonshotai.kimi-k2.5"),
    ],
)
def test_an_unknown_model_is_answered_with_the_nearest_name(
    section: type[Section], name: str, wrong: str, right: str
) -> None:
    with pytest.raises(ValidationError, match=f"is called '{wrong}'; did you mean {right}"):
        section_with(section, **{name: wrong})


def test_a_student_is_no_teacher() -> None:
    with pytest.raises(ValidationError, match=r"no teacher is called 'Qwen3-0\.6B'"):
        Base(task="classification", teacher_model_name="Qwen3-0.6B")


@pytest.mark.parametrize(
    ("written", "pools"),
    [
        ([], []),
        (["cards", "loans"], [["cards", "loans"]]),
        ([["cards"], ["rude", "kind"]], [["cards"], ["rude", "kind"]]),
    ],
)
def test_a_flat_list_of_topics_is_one_pool_and_a_nested_one_is_several(written: list[Any], pools: list[Any]) -> None:
    assert Synthgen(mutation_topics=written).mutation_topics == pools


@pytest.mark.parametrize("written", [["cards", ["loans"]], [1, 2], [["cards", 1]], [[]], "cards", [[["deep"]]]])
def test_topics_of_mixed_or_other_shapes_are_refused(written: Any) -> None:
    with pytest.raises(ValidationError):
        Synthgen(mutation_topics=written)


@given(st.lists(st.lists(st.text(), min_size=1)))
def test_pools_of_topics_read_again_are_the_same(pools: list[list[str]]) -> None:
    once = Synthgen(mutation_topics=pools).mutation_topics

    assert Synthgen(mutation_topics=once).mutation_topics == once == pools


@given(
    st.dictionaries(st.sampled_from(sorted(REFERENCE[Tuning])), st.none() | st.booleans() | st.integers() | st.text())
)
def test_whatever_a_section_is_given_it_answers_with_itself_or_a_validation_error(settings: dict[str, Any]) -> None:
    try:
        tuning = Tuning.model_validate(settings)
    except ValidationError:
        return
    assert Tuning.model_validate(tuning.model_dump()) == tuning


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="learnig_rate"):
        Tuning.model_validate({"learnig_rate": 1e-4})


def test_equal_sections_are_equal() -> None:
    assert Tuning(learning_rate=1e-4) == Tuning(learning_rate=1e-4) != Tuning()
