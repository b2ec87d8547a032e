from __future__ import annotations

from collections.abc import Callable

import pytest

from distil_dagster.evaluation.classification import NOT_A_CLASS
from distil_dagster.evaluation.predictions import ModelPredictions
from distil_dagster.evaluation.summary import Evaluation, evaluate
from distil_dagster.evaluation.tables import (
    class_report,
    comparison_rows,
    disagreements,
    metric_rows,
    missing_verdicts,
)

METRICS = ("accuracy", "rouge_l", "llm_as_a_judge")
ANSWERS = ["card_arrival", "change_pin", "change_pin", "card_arrival"]
MakeModel = Callable[..., ModelPredictions]


@pytest.fixture
def evaluation(make_model: MakeModel) -> Evaluation:
    """Row 0: all right. Row 1: only the student wrong. Row 2: both wrong. Row 3: only the teacher wrong."""
    return evaluate(
        [
            make_model("teacher", ["card_arrival", "change_pin", "card_arrival", "change_pin"], ANSWERS),
            make_model("base", ["no", "idea", "at", "all"], ANSWERS),
            make_model("sft", ["card_arrival", "a pin", "card_arrival", "card_arrival"], ANSWERS),
            make_model("original", ANSWERS, ANSWERS),
        ],
        METRICS,
        "llm_as_a_judge",
    )


def without_verdicts(model: ModelPredictions, *reasons: str) -> ModelPredictions:
    """The model with its first verdicts missing, one for each reason."""
    rows = [
        row.model_copy(update={"scores": row.scores | {"llm_as_a_judge": None}, "verdict_reason": reason})
        for row, reason in zip(model.rows, reasons, strict=False)
    ]
    return model.model_copy(update={"rows": (*rows, *model.rows[len(rows) :])})


def test_models_stand_in_the_order_original_teacher_base_tuned(evaluation: Evaluation) -> None:
    for row in metric_rows(evaluation):
        assert [cell.model.model for cell in row.cells] == ["original", "teacher", "base", "sft"]
        assert [cell.tuned for cell in row.cells] == [False, False, False, True]


def test_the_primary_metric_comes_first(evaluation: Evaluation) -> None:
    rows = metric_rows(evaluation)
    assert [row.title for row in rows] == ["LLM-as-a-judge", "Accuracy", "ROUGE-L"]
    assert [row.primary for row in rows] == [True, False, False]


def test_cells_hold_the_difference_to_base_and_to_the_original_model(evaluation: Evaluation) -> None:
    original, _, base, student = metric_rows(evaluation)[0].cells
    assert student.estimate is not None
    assert student.estimate.mean == 0.5
    assert student.to_base is not None
    assert student.to_base.difference == 0.5
    assert student.to_original is not None
    assert student.to_original.difference == -0.5
    assert original.to_original is None
    assert base.to_base is None


def test_comparisons_are_of_the_primary_metric_and_begin_with_the_tuned_student(evaluation: Evaluation) -> None:
    rows = comparison_rows(evaluation)
    assert [(row.first, row.second) for row in rows[:3]] == [
        ("Tuned (SFT)", "Base student"),
        ("Tuned (SFT)", "Original"),
        ("Tuned (SFT)", "Teacher"),
    ]
    assert {row.metric for row in rows} == {"LLM-as-a-judge"}


def test_disagreements_begin_with_what_only_the_student_has_wrong(evaluation: Evaluation) -> None:
    found = disagreements(evaluation)
    assert (found.total, found.rows) == (3, 4)
    assert [sample.number for sample in found.shown] == [2, 3, 4]


def test_a_disagreement_shows_every_models_answer(evaluation: Evaluation) -> None:
    sample = disagreements(evaluation).shown[0]
    assert sample.reference == "change_pin"
    assert [(answer.title, answer.text, answer.score, answer.valid) for answer in sample.answers] == [
        ("Original", "change_pin", 1.0, True),
        ("Teacher", "change_pin", 1.0, True),
        ("Base student", "idea", 0.0, False),
        ("Tuned (SFT)", "a pin", 0.0, False),
    ]


def test_no_more_disagreements_are_shown_than_asked_for(evaluation: Evaluation) -> None:
    found = disagreements(evaluation, limit=1)
    assert (found.total, len(found.shown)) == (3, 1)


def test_invalid_answers_count_as_no_class(evaluation: Evaluation) -> None:
    report = class_report(evaluation.tuned, ("card_arrival", "change_pin"))
    assert report.confusion == ((2, 0, 0), (1, 0, 1))


def test_a_reference_outside_the_classes_becomes_a_class_of_its_own(evaluation: Evaluation) -> None:
    report = class_report(evaluation.tuned, ("card_arrival",))
    assert report.classes == ("card_arrival", "change_pin")
    assert NOT_A_CLASS not in report.classes


def test_missing_verdicts_are_counted_with_their_reasons(make_model: MakeModel) -> None:
    student = without_verdicts(make_model("sft", ANSWERS, ANSWERS), "timeout: 60 s", "timeout: 60 s", "truncated")
    evaluation = evaluate(
        [make_model("teacher", ANSWERS, ANSWERS), make_model("base", ANSWERS, ANSWERS), student], METRICS, "accuracy"
    )
    [missing] = missing_verdicts(evaluation, "llm_as_a_judge")
    assert (missing.title, missing.missing, missing.rows) == ("Tuned (SFT)", 3, 4)
    assert missing.reasons == (("timeout: 60 s", 2), ("truncated", 1))
    assert missing_verdicts(evaluation, "meteor") == ()


def test_the_same_call_in_another_order_is_no_disagreement(make_model: MakeModel) -> None:
    answers = ['{"name": "hire", "parameters": {"boat": "Heron", "hours": 3}}'] * 3
    texts = [
        '{"name": "hire", "parameters": {"hours": 3, "boat": "Heron"}}',
        '{"name": "hire", "parameters": {"hours": "3", "boat": "Heron"}}',
        "Heron",
    ]
    evaluation = evaluate(
        [
            make_model("teacher", answers, answers),
            make_model("base", texts, answers),
            make_model("sft", texts, answers),
        ],
        METRICS,
        "accuracy",
    )
    assert [sample.number for sample in disagreements(evaluation).shown] == [2, 3]
