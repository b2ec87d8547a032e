from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from distil_dagster.config import Base, Route, Section, Synthgen, TraceProcessing, Tuning
from distil_dagster.config.mistakes import Mistake, mistakes_in


def mistakes(model: type[BaseModel], **settings: Any) -> list[Mistake]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(settings)
    return list(mistakes_in(caught.value, model.model_fields))


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        (Tuning, "learning_rate", "fast", "must be a number, not 'fast'"),
        (Tuning, "learning_rate", 0, "must be greater than 0, not 0"),
        (Tuning, "learning_rate", None, "must be a number, not null"),
        (Tuning, "learning_rate", [1e-4], "must be a number, not [0.0001]"),
        (Tuning, "num_train_epochs", 1.5, "must be a whole number, not 1.5"),
        (Tuning, "num_train_epochs", "many", "must be a whole number, not 'many'"),
        (Tuning, "num_train_epochs", False, "must be a number, not false"),
        (Tuning, "bf16", "perhaps", "must be true or false, not 'perhaps'"),
        (Tuning, "train_eval_split", 1, "must be less than 1, not 1"),
        (Tuning, "rlvr_llm_as_a_judge_model_name", 7, "must be text, not 7"),
        (
            Tuning,
            "learning_rate_scheduler",
            "cosin",
            "must be one of cosine, linear, constant, not 'cosin'; did you mean cosine?",
        ),
        (Tuning, "learning_rate_scheduler", 1, "must be one of cosine, linear, constant, not 1"),
        (Synthgen, "basic_mutators_to_use", "length", "must be a list, not 'length'"),
        (TraceProcessing, "min_relevance_score", 6, "must be less than or equal to 5, not 6"),
    ],
)
def test_a_mistake_names_the_value_and_what_would_be_right(
    section: type[Section], key: str, value: Any, message: str
) -> None:
    assert mistakes(section, **{key: value}) == [Mistake((key,), message, value)]


def test_a_missing_task_is_answered_with_the_choices() -> None:
    (mistake,) = mistakes(Base)

    assert mistake.message.startswith("is required; choose one of question-answering, classification, ")


def test_a_missing_field_and_an_unknown_one_are_told() -> None:
    assert mistakes(Route, modle="x") == [
        Mistake(("model",), "is required, but missing", {"modle": "x"}),
        Mistake(("modle",), "is not a known key; did you mean model?", "x"),
    ]


def test_every_mistake_of_a_section_is_told_and_an_item_of_a_list_by_its_place() -> None:
    found = mistakes(Synthgen, teacher_temperature=2, basic_mutators_to_use=["length", "size", "lenght"])

    assert [mistake.key for mistake in found] == [
        ("teacher_temperature",),
        ("basic_mutators_to_use", 1),
        ("basic_mutators_to_use", 2),
    ]
