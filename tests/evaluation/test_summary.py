from __future__ import annotations

from collections.abc import Callable

import pytest

from distil_dagster.errors import DataError
from distil_dagster.evaluation.predictions import ModelPredictions
from distil_dagster.evaluation.summary import evaluate

METRICS = ("accuracy", "rouge_l", "llm_as_a_judge")
Answering = Callable[[str, int], ModelPredictions]


@pytest.fixture
def answering(make_model: Callable[..., ModelPredictions]) -> Answering:
    """A model that answers so many of ten rows right."""

    def answer(role: str, right: int) -> ModelPredictions:
        texts = ["card_arrival"] * right + ["change_pin"] * (10 - right)
        return make_model(role, texts, ["card_arrival"] * 10)

    return answer


def unjudged(model: ModelPredictions) -> ModelPredictions:
    rows = [row.model_copy(update={"scores": row.scores | {"llm_as_a_judge": None}}) for row in model.rows]
    return model.model_copy(update={"rows": tuple(rows)})


def test_means_intervals_and_verdicts_come_from_the_predictions(answering: Answering) -> None:
    evaluation = evaluate(
        [answering("original", 6), answering("teacher", 9), answering("base", 1), answering("sft", 9)],
        METRICS,
        "accuracy",
    )
    assert evaluation.estimates["teacher"]["accuracy"].mean == 0.9
    assert evaluation.teacher_verdict.verdict == "PROCEED"
    assert evaluation.student_verdict.verdict == "DEPLOY"
    assert evaluation.student_verdict.means.original == 0.6
    comparison = evaluation.comparisons["sft", "base"]["accuracy"]
    assert (comparison.better, comparison.worse, comparison.test) == (8, 0, "mcnemar")
    assert evaluation.comparisons["sft", "base"]["rouge_l"].test == "paired_bootstrap"


def test_the_verdict_is_about_the_student_that_is_delivered(answering: Answering) -> None:
    models = [answering("teacher", 9), answering("base", 1), answering("sft", 5), answering("rlvr", 9)]
    for stage, mean in (("sft", 0.5), ("rlvr", 0.9)):
        evaluation = evaluate(models, METRICS, "accuracy", delivered=stage)
        assert (evaluation.tuned.model, evaluation.student_verdict.means.student) == (stage, mean)
    with pytest.raises(DataError, match="no predictions of rlvr"):
        evaluate(models[:3], METRICS, "accuracy", delivered="rlvr")


def test_without_logged_answers_nothing_is_compared_to_the_original_model(answering: Answering) -> None:
    evaluation = evaluate([answering("teacher", 9), answering("base", 1), answering("sft", 5)], METRICS, "accuracy")
    assert evaluation.student_verdict.means.original is None
    assert all("original" not in pair for pair in evaluation.comparisons)


def test_the_primary_metric_decides(answering: Answering) -> None:
    models = [answering("teacher", 9), answering("base", 1), answering("sft", 9)]
    assert evaluate(models, METRICS, "llm_as_a_judge").student_verdict.metric == "llm_as_a_judge"
    assert evaluate(models, METRICS, "rouge_l").teacher_verdict.score == pytest.approx(0.925)


def test_missing_verdicts_leave_rows_out_and_are_counted(answering: Answering) -> None:
    student = answering("sft", 9)
    first = student.rows[0].model_copy(update={"scores": student.rows[0].scores | {"llm_as_a_judge": None}})
    student = student.model_copy(update={"rows": (first, *student.rows[1:])})
    evaluation = evaluate([answering("teacher", 9), answering("base", 1), student], METRICS, "accuracy")
    figure = evaluation.estimates["sft"]["llm_as_a_judge"]
    assert (figure.count, figure.missing, figure.mean) == (9, 1, 8 / 9)
    assert evaluation.comparisons["sft", "base"]["llm_as_a_judge"].rows == 9


def test_a_model_without_any_verdict_has_no_figure_in_the_judges_column(answering: Answering) -> None:
    models = [unjudged(answering("teacher", 9)), answering("base", 1), answering("sft", 9)]
    evaluation = evaluate(models, METRICS, "accuracy")
    assert "llm_as_a_judge" not in evaluation.estimates["teacher"]
    assert "llm_as_a_judge" not in evaluation.comparisons["sft", "teacher"]
    with pytest.raises(DataError, match="LLM-as-a-judge decides the verdict, but no score of it is known for teacher"):
        evaluate(models, METRICS, "llm_as_a_judge")


def test_metrics_that_nothing_was_scored_in_are_left_out(answering: Answering) -> None:
    models = [answering("teacher", 9), answering("base", 1), answering("sft", 9)]
    assert evaluate(models, (*METRICS, "meteor"), "accuracy").metrics == METRICS


def test_a_missing_model_is_an_error_that_names_it(answering: Answering) -> None:
    with pytest.raises(DataError, match="no predictions of base, sft"):
        evaluate([answering("teacher", 9)], METRICS, "accuracy")


def test_models_of_other_rows_are_an_error_that_names_them(answering: Answering) -> None:
    other = answering("base", 1)
    other = other.model_copy(update={"rows": tuple(reversed(other.rows))})
    with pytest.raises(DataError, match="base: not the rows that the teacher answered"):
        evaluate([answering("teacher", 9), other, answering("sft", 9)], METRICS, "accuracy")


def test_an_empty_test_set_is_an_error() -> None:
    empty = [ModelPredictions(model=role, label="", rows=()) for role in ("teacher", "base", "sft")]
    with pytest.raises(DataError, match="no rows"):
        evaluate(empty, METRICS, "accuracy")


def test_equal_seeds_give_equal_evaluations(answering: Answering) -> None:
    models = [answering("teacher", 9), answering("base", 1), answering("sft", 9)]
    assert evaluate(models, METRICS, "accuracy", seed=3) == evaluate(models, METRICS, "accuracy", seed=3)
