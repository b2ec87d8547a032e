"""What the settings of a configuration demand of each other.

A rule is a function that yields a `Problem` for each breach. Beside it stand the settings that it reads, so that the
rest can still be checked where one of them is itself wrong. Problems carry no place: who read the file adds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from distil_dagster.config.catalogue import students, teachers
from distil_dagster.config.names import shown
from distil_dagster.config.pipeline import PipelineConfig
from distil_dagster.errors import Problem

REASONING_TEMPERATURES = (0.5, 0.7)

_CLASSIFICATION = {"classification"}
_OPEN_BOOK = {"question-answering-open-book"}
_CLOSED_BOOK = {"question-answering-closed-book"}
_QUESTION_ANSWERING = {"question-answering"} | _OPEN_BOOK | _CLOSED_BOOK
_MULTI_TURN = {"multi-turn-tool-calling-closed-book"}
_TOOL_CALLING = {"tool-calling-closed-book"} | _MULTI_TURN


@dataclass(frozen=True)
class Rule:
    """A check and the settings that it reads."""

    check: Callable[[PipelineConfig], Iterator[Problem]]
    reads: frozenset[str]


@dataclass(frozen=True)
class Idle:
    """Settings that nothing looks at while `when` holds; `because` says why, `reads` what `when` looks at."""

    settings: tuple[str, ...]
    reads: frozenset[str]
    when: Callable[[PipelineConfig], bool]
    because: str


def errors_in(config: PipelineConfig, unknown: AbstractSet[str] = frozenset()) -> list[Problem]:
    """Every rule that is broken; rules that read a setting in `unknown` are passed over."""
    return [problem for rule in _ERRORS if not rule.reads & unknown for problem in rule.check(config)]


def warnings_in(config: PipelineConfig, unknown: AbstractSet[str] = frozenset()) -> list[Problem]:
    """What is allowed but surely not meant: settings without effect, and combinations that are likely to fail."""
    doubtful = [problem for rule in _WARNINGS if not rule.reads & unknown for problem in rule.check(config)]
    return doubtful + list(_without_effect(config, unknown))


def _problem(config: PipelineConfig, key: str, message: str) -> Problem:
    return Problem("configuration", None, key, message, _value(config, key))


def _value(config: PipelineConfig, key: str) -> Any:
    section, _, field = key.partition(".")
    return getattr(getattr(config, section), field)


def _is_default(config: PipelineConfig, key: str) -> bool:
    section, _, field = key.partition(".")
    default = type(getattr(config, section)).model_fields[field].default
    return bool(_value(config, key) == default)


def _without_effect(config: PipelineConfig, unknown: AbstractSet[str]) -> Iterator[Problem]:
    for idle in _IDLE:
        if idle.reads & unknown or not idle.when(config):
            continue
        for key in idle.settings:
            if key not in unknown and not _is_default(config, key):
                yield _problem(config, key, f"{shown(_value(config, key))} has no effect: {idle.because}")


def _temperature_suits_teacher(config: PipelineConfig) -> Iterator[Problem]:
    lowest, highest = REASONING_TEMPERATURES
    teacher, temperature = config.base.teacher_model_name, config.synthgen.teacher_temperature
    if teachers()[teacher].reasoning and not lowest <= temperature <= highest:
        yield _problem(
            config,
            "synthgen.teacher_temperature",
            f"must be between {lowest} and {highest}, not {temperature}: {teacher} is a reasoning model",
        )


def _student_knows_tools(config: PipelineConfig) -> Iterator[Problem]:
    task, student = config.base.task, config.base.student_model_name
    if task in _TOOL_CALLING and students()[student].tool_format is None:
        able = ", ".join(name for name, each in students().items() if each.tool_format)
        yield _problem(
            config,
            "base.student_model_name",
            f"{student} does not call tools, which {task} needs; choose one of {able}",
        )


def _teacher_is_tool_tested(config: PipelineConfig) -> Iterator[Problem]:
    task, teacher = config.base.task, config.base.teacher_model_name
    if task in _MULTI_TURN and not teachers()[teacher].tool_tested:
        yield _problem(
            config,
            "base.teacher_model_name",
            f"{teacher} is not tested for tool calls, which {task} needs; choose one of {_tool_tested()}",
        )


def _tool_tested() -> str:
    return ", ".join(name for name, teacher in teachers().items() if teacher.tool_tested)


def _batch_holds_whole_groups(config: PipelineConfig) -> Iterator[Problem]:
    batch, group = config.tuning.rlvr_per_device_batch_size, config.tuning.rlvr_num_generations
    if batch % group:
        right = max(round(batch / group), 1) * group
        yield _problem(
            config,
            "tuning.rlvr_per_device_batch_size",
            f"must be a multiple of tuning.rlvr_num_generations ({group}), such as {right}, not {batch}",
        )


def _trace_teachers_are_tool_tested(config: PipelineConfig) -> Iterator[Problem]:
    if config.base.task not in _MULTI_TURN or not config.trace_processing.relabel:
        return
    for key, name in _relabelling_models(config):
        if not teachers()[name].tool_tested:
            yield _problem(
                config,
                key,
                f"{name} relabels conversations with tools but is not tested for it; tested are {_tool_tested()}",
            )


def _teacher_sees_images(config: PipelineConfig) -> Iterator[Problem]:
    if config.trace_processing.observation_format != "openai_messages_with_images":
        return
    teacher = config.base.teacher_model_name
    if not teachers()[teacher].vision:
        seeing = ", ".join(name for name, each in teachers().items() if each.vision)
        yield _problem(
            config,
            "base.teacher_model_name",
            f"{teacher} sees no images, so that traces with images are set aside; {seeing} see them",
        )


def _relabelling_models(config: PipelineConfig) -> list[tuple[str, str]]:
    committee = [
        ("trace_processing.relabelling_committee_models", name)
        for name in config.trace_processing.relabelling_committee_models
    ]
    return [("trace_processing.teacher_model_name", config.trace_processing.teacher_model_name), *committee]


def _supervised_training_has_data(config: PipelineConfig) -> Iterator[Problem]:
    if config.tuning.rlvr_dataset_size == 1:
        yield _problem(
            config, "tuning.rlvr_dataset_size", "1.0 leaves no examples for the supervised training before it"
        )


def _enough_traces_for_minimum(config: PipelineConfig) -> Iterator[Problem]:
    traces, minimum = (
        config.trace_processing.num_traces_as_training_base,
        config.trace_processing.min_generated_examples,
    )
    if config.base.task in _MULTI_TURN and traces < minimum:
        yield _problem(
            config,
            "trace_processing.num_traces_as_training_base",
            f"{traces} traces cannot give the {minimum} examples that trace_processing.min_generated_examples demands",
        )


_ERRORS = (
    Rule(_temperature_suits_teacher, frozenset({"base.teacher_model_name", "synthgen.teacher_temperature"})),
    Rule(_student_knows_tools, frozenset({"base.task", "base.student_model_name"})),
    Rule(_teacher_is_tool_tested, frozenset({"base.task", "base.teacher_model_name"})),
    Rule(_batch_holds_whole_groups, frozenset({"tuning.rlvr_per_device_batch_size", "tuning.rlvr_num_generations"})),
)

_RELABELLING = frozenset({"trace_processing.teacher_model_name", "trace_processing.relabelling_committee_models"})

_WARNINGS = (
    Rule(_trace_teachers_are_tool_tested, _RELABELLING | {"base.task", "trace_processing.relabel"}),
    Rule(_teacher_sees_images, frozenset({"base.teacher_model_name", "trace_processing.observation_format"})),
    Rule(_supervised_training_has_data, frozenset({"tuning.rlvr_dataset_size"})),
    Rule(
        _enough_traces_for_minimum,
        frozenset(
            {
                "base.task",
                "trace_processing.num_traces_as_training_base",
                "trace_processing.min_generated_examples",
            }
        ),
    ),
)


def _idle_outside(tasks: set[str], settings: tuple[str, ...], because: str) -> Idle:
    return Idle(settings, frozenset({"base.task"}), lambda config: config.base.task not in tasks, because)


_IDLE = (
    _idle_outside(
        _CLASSIFICATION,
        ("synthgen.match_generated_distribution_to_seed", "synthgen.num_negative_exemplars_per_generation"),
        "only classification has classes",
    ),
    _idle_outside(_QUESTION_ANSWERING, ("synthgen.output_is_json",), "it is for question answering"),
    _idle_outside(_OPEN_BOOK, ("synthgen.num_distractor_context_blocks",), "it is for question-answering-open-book"),
    _idle_outside(
        _CLOSED_BOOK, ("synthgen.generation_per_unstructured_context",), "it is for question-answering-closed-book"
    ),
    _idle_outside(
        _MULTI_TURN, ("evaluation.expand_tool_calling_turns",), "it is for multi-turn-tool-calling-closed-book"
    ),
    Idle(
        ("synthgen.generation_target",),
        frozenset({"base.task", "synthgen.generation_per_unstructured_context"}),
        lambda config: (
            config.base.task in _CLOSED_BOOK and config.synthgen.generation_per_unstructured_context is not None
        ),
        "synthgen.generation_per_unstructured_context decides how many examples there are",
    ),
    Idle(
        ("tuning.use_qlora", "tuning.lora_r", "tuning.lora_alpha_multiplier"),
        frozenset({"tuning.use_lora"}),
        lambda config: not config.tuning.use_lora,
        "tuning.use_lora is false",
    ),
    Idle(
        (
            "tuning.rlvr_llm_as_a_judge_model_name",
            "tuning.rlvr_per_device_batch_size",
            "tuning.rlvr_num_generations",
            "tuning.rlvr_num_train_epochs",
        ),
        frozenset({"tuning.rlvr_dataset_size"}),
        lambda config: config.tuning.rlvr_dataset_size == 0,
        "tuning.rlvr_dataset_size is 0, which leaves reinforcement learning out",
    ),
    Idle(
        (
            "trace_processing.relevance_filtering_batch_size",
            "trace_processing.min_relevance_score",
            "trace_processing.min_coherence_score",
            "trace_processing.compress_job_description",
        ),
        frozenset({"trace_processing.relevance_filtering"}),
        lambda config: not config.trace_processing.relevance_filtering,
        "trace_processing.relevance_filtering is false",
    ),
    Idle(
        ("trace_processing.relabelling_committee_models",),
        frozenset({"trace_processing.relabel"}),
        lambda config: not config.trace_processing.relabel,
        "trace_processing.relabel is false",
    ),
)
