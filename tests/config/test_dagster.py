"""The sections as Dagster run config: nested, optional, in a resource."""

from typing import Any, Optional

import dagster as dg
import pytest
from pydantic import Field

from distil_dagster.config import Base, Evaluation, Synthgen, TraceProcessing, Tuning

SECTIONS = {
    "base": Base,
    "tuning": Tuning,
    "evaluation": Evaluation,
    "synthgen": Synthgen,
    "trace_processing": TraceProcessing,
}


class Sections(dg.ConfigurableResource):
    base: Optional[Base] = Field(default=None, description="What the whole pipeline shares.")  # noqa: UP045
    tuning: Tuning | None = None
    evaluation: Evaluation | None = None
    synthgen: Synthgen | None = None
    trace_processing: TraceProcessing | None = None


seen: list[Sections] = []


@dg.asset
def shown_config(sections: Sections) -> None:
    seen.append(sections)


DEFINITIONS = dg.Definitions(
    assets=[shown_config],
    jobs=[dg.define_asset_job("show", selection=[shown_config])],
    resources={"sections": Sections.configure_at_launch()},
)


def run(**config: dict[str, Any]) -> Sections:
    job = DEFINITIONS.resolve_job_def("show")
    seen.clear()
    result = job.execute_in_process(run_config={"resources": {"sections": {"config": config}}})
    assert result.success
    return seen[0]


def test_an_empty_run_config_leaves_every_section_open() -> None:
    sections = run()

    assert [getattr(sections, name) for name in SECTIONS] == [None] * 5


def test_the_five_sections_are_accepted_as_run_config() -> None:
    sections = run(
        base={"task": "question-answering-open-book", "student_model_name": "Qwen3-1.7B", "random_seed": None},
        tuning={"learning_rate": 1e-4, "learning_rate_scheduler": "cosine", "bf16": False},
        evaluation={"num_few_shot_examples": 2},
        synthgen={
            "basic_mutators_to_use": ["length"],
            "mutation_topics": [["cards"], ["loans", "fees"]],
            "generation_per_unstructured_context": 3,
        },
        trace_processing={
            "observation_format": "langfuse",
            "relabelling_committee_models": ["zai.glm-5", "deepseek.v3.1"],
            "convert_to_single_turn": True,
        },
    )

    assert sections.base == Base(task="question-answering-open-book", student_model_name="Qwen3-1.7B", random_seed=None)
    assert sections.tuning == Tuning(learning_rate=1e-4, learning_rate_scheduler="cosine", bf16=False)
    assert sections.evaluation == Evaluation(num_few_shot_examples=2)
    assert sections.synthgen is not None
    assert sections.synthgen.mutation_topics == [["cards"], ["loans", "fees"]]
    assert sections.trace_processing is not None
    assert sections.trace_processing.relabelling_committee_models == ["zai.glm-5", "deepseek.v3.1"]


def test_topics_may_be_a_flat_list_in_run_config_too() -> None:
    sections = run(synthgen={"mutation_topics": ["cards", "loans"]})

    assert sections.synthgen is not None
    assert sections.synthgen.mutation_topics == [["cards", "loans"]]


@pytest.mark.parametrize(
    ("section", "settings"),
    [
        ("tuning", {"learnig_rate": 1e-4}),
        ("tuning", {"learning_rate_scheduler": "polynomial"}),
        ("tuning", {"num_train_epochs": "many"}),
        ("base", {"task": "translation"}),
        ("synthgen", {"basic_mutators_to_use": "length"}),
    ],
)
def test_run_config_of_a_wrong_shape_is_refused_before_anything_runs(section: str, settings: dict[str, Any]) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError):
        run(**{section: settings})


@pytest.mark.parametrize("section", SECTIONS.values())
def test_the_launchpad_shows_defaults_and_descriptions(section: type[dg.Config]) -> None:
    shape = section.to_config_schema().config_type

    for name, field in shape.fields.items():  # type: ignore[attr-defined]
        assert field.description == section.model_fields[name].description
        assert field.is_required == (name == "task")
        if name != "task":
            assert field.default_value == section.model_fields[name].default
