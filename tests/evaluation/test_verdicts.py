from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.evaluation.verdicts import MeanScores, TaskKind, student_verdict, teacher_verdict

JUDGE = "llm_as_a_judge"


@pytest.mark.parametrize(
    ("score", "kind", "expected"),
    [
        (1.0, "text", "PROCEED"),
        (0.80, "text", "PROCEED"),
        (0.7999, "text", "ITERATE"),
        (0.60, "text", "ITERATE"),
        (0.5999, "text", "RETHINK"),
        (0.0, "text", "RETHINK"),
        (0.70, "tool", "PROCEED"),
        (0.6999, "tool", "ITERATE"),
        (0.0, "tool", "ITERATE"),
    ],
)
def test_the_teachers_verdict_changes_at_the_thresholds(score: float, kind: TaskKind, expected: str) -> None:
    verdict = teacher_verdict(score, JUDGE, kind)
    assert (verdict.verdict, verdict.metric, verdict.score) == (expected, JUDGE, score)
    assert f"{score:.3f} in LLM-as-a-judge" in verdict.sentence


def test_rounding_of_binary_fractions_does_not_decide() -> None:
    assert teacher_verdict(0.1 + 0.7, JUDGE, "text").verdict == "PROCEED"  # 0.7999999999999999
    # 0.9 - 0.85 is 0.050000000000000044.
    assert student_verdict(MeanScores(student=0.85, teacher=0.9, base=0.1), JUDGE, "text").verdict == "DEPLOY"


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        (MeanScores(student=0.90, teacher=0.85, base=0.30), "DEPLOY"),
        (MeanScores(student=0.85, teacher=0.90, base=0.30), "DEPLOY"),
        (MeanScores(student=0.849, teacher=0.90, base=0.30), "RETUNE"),
        (MeanScores(student=0.50, teacher=0.90, base=0.46), "ESCALATE"),
        (MeanScores(student=0.50, teacher=0.90, base=0.45), "RETUNE"),
        (MeanScores(student=0.40, teacher=0.90, base=0.45), "ESCALATE"),
        (MeanScores(student=0.50, teacher=0.79, base=0.50), "RETUNE"),
        (MeanScores(student=0.90, teacher=0.92, base=0.30, original=0.90), "DEPLOY"),
        (MeanScores(student=0.90, teacher=0.92, base=0.30, original=0.91), "RETUNE"),
        (MeanScores(student=0.90, teacher=0.92, base=0.88, original=0.91), "ESCALATE"),
        (MeanScores(student=0.90, teacher=0.92, base=0.30, original=0.20), "DEPLOY"),
    ],
)
def test_the_students_verdict(means: MeanScores, expected: str) -> None:
    verdict = student_verdict(means, "accuracy", "text")
    assert (verdict.verdict, verdict.means, verdict.metric) == (expected, means, "accuracy")


def test_a_tool_tasks_teacher_does_well_from_a_lower_score_on() -> None:
    means = MeanScores(student=0.50, teacher=0.75, base=0.50)
    assert student_verdict(means, "tool_call_equivalence", "tool").verdict == "ESCALATE"
    assert student_verdict(means, "llm_as_a_judge", "text").verdict == "RETUNE"


SHARES = st.floats(0, 1)


@given(SHARES, SHARES, SHARES, SHARES)
def test_a_student_below_the_original_model_is_never_deployed(
    student: float, teacher: float, base: float, below: float
) -> None:
    means = MeanScores(student=student, teacher=teacher, base=base, original=student + 0.001 + below)
    assert student_verdict(means, "accuracy", "text").verdict != "DEPLOY"


@given(SHARES, SHARES, SHARES)
def test_every_verdict_says_why_in_one_sentence(student: float, teacher: float, base: float) -> None:
    verdict = student_verdict(MeanScores(student=student, teacher=teacher, base=base), "accuracy", "text")
    assert verdict.sentence.startswith(f"The student scores {student:.3f} in Accuracy")
    assert verdict.sentence.endswith(".")
    assert ". " not in verdict.sentence


def test_the_sentence_names_the_original_model_that_the_student_falls_short_of() -> None:
    means = MeanScores(student=0.90, teacher=0.92, base=0.30, original=0.95)
    assert "below the 0.950 of the original model" in student_verdict(means, "accuracy", "text").sentence


def test_a_deployable_student_of_a_weak_teacher_or_without_gain_comes_with_a_warning() -> None:
    weak = student_verdict(MeanScores(student=0.50, teacher=0.52, base=0.10), "accuracy", "text")
    idle = student_verdict(MeanScores(student=0.90, teacher=0.90, base=0.89), "accuracy", "text")
    plain = student_verdict(MeanScores(student=0.90, teacher=0.90, base=0.10), "accuracy", "text")
    assert "the teacher itself is below the 0.80" in weak.sentence
    assert "the base student reaches 0.890 without tuning" in idle.sentence
    assert "; but" not in plain.sentence
