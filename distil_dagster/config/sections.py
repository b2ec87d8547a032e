"""The five sections of a configuration: every parameter with its type, default, bounds and meaning.

One set of classes serves as schema of the file, as Python API and as Dagster run config. What depends on several
parameters at once is checked in `rules`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import dagster as dg
from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, field_validator

from distil_dagster.config.catalogue import known_student, known_teacher
from distil_dagster.config.names import did_you_mean, shown

Task = Literal[
    "question-answering",
    "classification",
    "tool-calling-closed-book",
    "multi-turn-tool-calling-closed-book",
    "question-answering-open-book",
    "question-answering-closed-book",
]
Scheduler = Literal["cosine", "linear", "constant"]
Mutator = Literal["complexity", "length", "specificity"]
ObservationFormat = Literal[
    "langfuse", "openai_messages", "openai_messages_with_images", "unstructured_with_openai_messages"
]


def _known_mutator(name: str) -> str:
    if name not in get_args(Mutator):
        raise ValueError(f"no mutator is called {shown(name)}; {did_you_mean(name, get_args(Mutator))}")
    return name


def _topic_lists(topics: list[Any]) -> list[list[str]]:
    """Read a flat list as one pool of topics, a list of lists as several pools."""
    pools = [topics] if topics and all(isinstance(topic, str) for topic in topics) else topics
    for pool in pools:
        if not isinstance(pool, list) or not pool or not all(isinstance(topic, str) for topic in pool):
            raise ValueError(f"must be a list of topics or a list of such lists; {shown(pool)} fits neither")
    return pools


# Plain `str` in the type, as Dagster knows no closed set that is read at run time.
StudentName = Annotated[str, AfterValidator(known_student)]
TeacherName = Annotated[str, AfterValidator(known_teacher)]
MutatorName = Annotated[str, AfterValidator(_known_mutator)]
# Dagster has no union of lists; the validator leaves a list of lists of text.
TopicLists = Annotated[list[Any], AfterValidator(_topic_lists)]


class Section(dg.Config):
    """A section of the configuration; a key that it does not know is an error.

    Numbers and switches written as text are read (`"5e-5"` is what YAML 1.1 makes of 5e-5); true and false are not
    taken for the numbers 1 and 0.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _switch_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and {int, float} & {annotation, *get_args(annotation)}:
            raise ValueError(f"must be a number, not {shown(value)}")
        return value


class Base(Section):
    """What the whole pipeline shares: the task, the models, the seed."""

    task: Task = Field(description="What kind of problem the student learns to solve.")
    student_model_name: StudentName = Field(
        default="Llama-3.2-1B-Instruct", description="The small model to train, by its catalogue name."
    )
    teacher_model_name: TeacherName = Field(
        default="openai.gpt-oss-120b", description="The large model that writes the synthetic data and is distilled."
    )
    random_seed: int | None = Field(
        default=123, ge=0, lt=2**32, description="Seed of every random choice; null gives a different run each time."
    )
    llm_num_parallel_requests: int = Field(
        default=4,
        ge=1,
        description="Most model requests in flight at once, whoever makes them; 1 sends one after another.",
    )


class Tuning(Section):
    """How the student is trained; what begins with `rlvr_` governs the reinforcement learning after it."""

    learning_rate: float = Field(
        default=5e-5, gt=0, description="Learning rate that AdamW starts from, in SFT and RLVR alike."
    )
    learning_rate_scheduler: Scheduler = Field(
        default="linear", description="How the learning rate falls after the warmup."
    )
    weight_decay: float = Field(
        default=0.0, ge=0, description="AdamW's weight decay; biases and layer norms are always left out."
    )
    warmup_ratio: float = Field(
        default=0.05, ge=0, le=1, description="Share of all steps over which the learning rate rises from 0."
    )
    bf16: bool = Field(default=True, description="Train in bfloat16 mixed precision; false trains in 32 bits.")
    use_lora: bool = Field(default=True, description="Train a LoRA adapter; false trains all weights.")
    lora_r: int = Field(default=64, ge=1, description="Rank of the LoRA matrices; read where use_lora is true.")
    lora_alpha_multiplier: int = Field(
        default=1, ge=1, description="LoRA's alpha as a multiple of lora_r; read where use_lora is true."
    )
    per_device_train_batch_size: int = Field(default=1, ge=1, description="Training examples a step on each device.")
    per_device_eval_batch_size: int = Field(default=1, ge=1, description="Evaluation examples a step on each device.")
    num_train_epochs: int = Field(default=4, ge=1, description="How often training goes through its examples.")
    train_eval_split: float = Field(
        default=0.2, gt=0, lt=1, description="Share of the training data that is held back to measure the loss on."
    )
    gradient_accumulation_steps: int = Field(
        default=1,
        ge=1,
        description="Batches whose gradients are added up before one update: a larger batch in the same memory.",
    )
    num_few_shot_examples_student: int = Field(
        default=0,
        ge=0,
        description="Worked examples in the student's prompt, in training and evaluation alike; above 0, "
        "classification shows at least one of each class.",
    )
    memory_optimized_training: bool = Field(
        default=False,
        description="Save GPU memory with gradient checkpointing and activation offloading, at a high price in speed; "
        "for training that does not fit otherwise.",
    )
    use_qlora: bool = Field(
        default=False,
        description="Hold the base model in 4 bits (NF4) under the LoRA adapter: about a third of its memory, a little "
        "slower. Needs use_lora, Linux and bitsandbytes.",
    )
    rlvr_dataset_size: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of the data kept for reinforcement learning; 0 leaves that stage out.",
    )
    rlvr_llm_as_a_judge_model_name: TeacherName = Field(
        default="openai.gpt-oss-120b", description="The model whose judgement is the reward in reinforcement learning."
    )
    rlvr_per_device_batch_size: int = Field(
        default=6, ge=1, description="Completions a step on each device; a multiple of rlvr_num_generations."
    )
    rlvr_num_generations: int = Field(
        default=6, ge=2, description="Completions sampled for one prompt and compared with each other."
    )
    rlvr_num_train_epochs: int = Field(
        default=1, ge=1, description="How often reinforcement learning goes through its prompts."
    )


class Evaluation(Section):
    """How models are measured on the test set."""

    num_few_shot_examples: int = Field(
        default=1,
        ge=0,
        description="Worked examples in the teacher's prompt; above 0, classification shows one or more of each class.",
    )
    llm_as_a_judge_model_name: TeacherName = Field(
        default="openai.gpt-oss-120b", description="The model that judges predictions to be good or bad."
    )
    expand_tool_calling_turns: bool = Field(
        default=True, description="Test a conversation once at each of its tool calls; false tests its last one only."
    )


class Synthgen(Section):
    """How the teacher writes synthetic training data."""

    generation_target: int = Field(
        default=10000,
        ge=1,
        description="Synthetic examples to end up with; closed-book question answering counts by contexts instead "
        "where generation_per_unstructured_context is set.",
    )
    generation_in_single_call: int = Field(default=4, ge=1, description="Examples asked for in one request.")
    generation_iteration_size: int = Field(
        default=128, ge=1, description="Examples generated before the next round of validation."
    )
    generation_per_unstructured_context: int | None = Field(
        default=None,
        ge=1,
        description="Examples to write from each unstructured context, in place of generation_target; for closed-book "
        "question answering.",
    )
    num_positive_exemplars_per_generation: int = Field(
        default=2, ge=0, description="Seed examples shown in a request, of the class asked for where there are classes."
    )
    num_negative_exemplars_per_generation: int = Field(
        default=2, ge=0, description="Seed examples of other classes shown in a request; for classification."
    )
    num_unlabelled_exemplars_per_generation: int = Field(
        default=2, ge=0, description="Unstructured contexts shown in a request."
    )
    validation_max_total_length: int = Field(
        default=10000, ge=1, description="Most characters of an example, input and output together."
    )
    validation_similarity_threshold: float = Field(
        default=0.95,
        ge=0,
        le=1,
        description="Generated examples more alike than this to a kept one are dropped (1 is equal).",
    )
    teacher_temperature: float = Field(
        default=0.7, ge=0, le=1, description="The teacher's temperature: low repeats itself, high surprises."
    )
    teacher_max_tokens: int = Field(
        default=32000,
        ge=1,
        description="Most tokens of one answer; leaves room in the model's context for long prompts.",
    )
    match_generated_distribution_to_seed: bool = Field(
        default=False,
        description="Generate classes as often as the seeds hold them; false balances them. For classification.",
    )
    num_distractor_context_blocks: int = Field(
        default=0,
        ge=0,
        description="Contexts beside the point mixed into each example (RAFT); for open-book question answering.",
    )
    output_is_json: bool = Field(
        default=False, description="Keep only examples whose answer is valid JSON; for question answering."
    )
    basic_mutators_to_use: list[MutatorName] = Field(
        default=["complexity"], description="What requests are varied by: complexity, length, specificity."
    )
    mutation_topics: TopicLists = Field(
        default=[], description="Topics that requests are drawn to: one list, or several lists with a draw from each."
    )


class TraceProcessing(Section):
    """How logged conversations become training and test data."""

    relabel: bool = Field(
        default=True, description="Let a committee of models answer the traces anew; false keeps the logged answers."
    )
    relevance_filtering: bool = Field(
        default=True, description="Score the traces and drop those below the two minimum scores; false keeps them all."
    )
    relevance_filtering_batch_size: int = Field(default=32, ge=1, description="Traces scored in one request.")
    min_relevance_score: int = Field(
        default=4, ge=1, le=5, description="Lowest relevance to the job, from 1 to 5, that a trace may have."
    )
    min_coherence_score: int = Field(
        default=3,
        ge=1,
        le=5,
        description="Lowest coherence, from 1 to 5; a low bar leaves more for the committee to repair.",
    )
    num_traces_as_training_base: int = Field(
        default=200, ge=0, description="Traces that become training seeds; what is left over is unstructured data."
    )
    num_traces_as_testing_base: int = Field(
        default=200, ge=0, description="Traces that become test examples, unless a test set is given."
    )
    min_generated_examples: int = Field(
        default=20,
        ge=0,
        description="Fewest examples that must come out; fewer stop the run before training on too little.",
    )
    max_unstructured: int = Field(default=10000, ge=0, description="Most unstructured contexts to take over.")
    observation_format: ObservationFormat = Field(
        default="openai_messages", description="What a line of traces.jsonl holds."
    )
    remove_system_prompt_from_traces: bool = Field(
        default=True, description="Strip leading system messages: the job description says what they say."
    )
    compress_job_description: bool = Field(
        default=False,
        description="Let the teacher shorten a long job description before the traces are scored against it.",
    )
    teacher_model_name: TeacherName = Field(
        default="zai.glm-5", description="The model that scores traces and settles what the committee answers."
    )
    relabelling_committee_models: list[TeacherName] = Field(
        default=[],
        description="Models that each propose an answer; none leaves it to the trace processing teacher alone.",
    )
    convert_to_single_turn: bool | None = Field(
        default=None,
        description="Of older configurations: true or false overrides what the task says; null follows it.",
    )
