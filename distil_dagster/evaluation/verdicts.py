"""What the figures mean: is the teacher good enough to teach, is the student good enough to deploy.

Pure rules on mean scores of one metric. A difference of exactly the threshold counts as reached, whatever binary
fractions make of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from distil_dagster.evaluation.metrics import metric_title
from distil_dagster.tasks.base import TaskKind

TeacherDecision = Literal["PROCEED", "ITERATE", "RETHINK"]
StudentDecision = Literal["DEPLOY", "RETUNE", "ESCALATE"]

PROCEED_AT: dict[TaskKind, float] = {"text": 0.80, "tool": 0.70}
RETHINK_BELOW = 0.60
CLOSE_TO_TEACHER = 0.05
HARDLY_ABOVE_BASE = 0.05
_ROUNDING = 1e-9


@dataclass(frozen=True)
class TeacherVerdict:
    """Whether to go on with this teacher, the metric and score behind it, and why in one sentence."""

    verdict: TeacherDecision
    metric: str
    score: float
    sentence: str


@dataclass(frozen=True)
class MeanScores:
    """Means of one metric over the same rows; `original` is absent where no logged answers exist."""

    student: float
    teacher: float
    base: float
    original: float | None = None


@dataclass(frozen=True)
class StudentVerdict:
    """Whether to deploy the tuned student, the metric and means behind it, and why in one sentence."""

    verdict: StudentDecision
    metric: str
    means: MeanScores
    sentence: str


def teacher_verdict(score: float, metric: str, kind: TaskKind) -> TeacherVerdict:
    """Judge the teacher by its mean score on the test rows.

    Text tasks: PROCEED from 0.80, ITERATE from 0.60, RETHINK below. Tool tasks: PROCEED from 0.70, ITERATE below.
    """
    wanted = PROCEED_AT[kind]
    scored = f"The teacher scores {score:.3f} in {metric_title(metric)}"
    if _reaches(score, wanted):
        return TeacherVerdict(
            "PROCEED", metric, score, f"{scored}, at or above the {wanted:.2f} that teaching asks for."
        )
    if kind == "tool" or _reaches(score, RETHINK_BELOW):
        advice = "improve the job description or the examples, or take a stronger teacher, before generating data"
        return TeacherVerdict("ITERATE", metric, score, f"{scored}, below {wanted:.2f}: {advice}.")
    advice = "the task as described is not one that this teacher can teach; rethink the task, its labels or the teacher"
    return TeacherVerdict("RETHINK", metric, score, f"{scored}, below {RETHINK_BELOW:.2f}: {advice}.")


def student_verdict(means: MeanScores, metric: str, kind: TaskKind) -> StudentVerdict:
    """Judge the tuned student by mean scores of one metric on the same rows.

    DEPLOY: at most 0.05 below the teacher and not below the original model. ESCALATE: less than 0.05 above the base
    student although the teacher is good enough to teach. RETUNE: everything else.
    """
    below_original = means.original is not None and not _reaches(means.student, means.original)
    scored = f"The student scores {means.student:.3f} in {metric_title(metric)}"
    close = _reaches(means.student, means.teacher - CLOSE_TO_TEACHER)
    if close and not below_original:
        return StudentVerdict("DEPLOY", metric, means, f"{scored}, {_beside_teacher(means)}{_warning(means, kind)}.")
    if _hardly_above_base(means) and _reaches(means.teacher, PROCEED_AT[kind]):
        reason = f"hardly above the base student's {means.base:.3f} although the teacher reaches {means.teacher:.3f}"
        return StudentVerdict(
            "ESCALATE", metric, means, f"{scored}, {reason}: take a larger student or look at the data."
        )
    if below_original:
        reason = f"below the {means.original:.3f} of the original model that it is to replace"
        return StudentVerdict("RETUNE", metric, means, f"{scored}, {reason}.")
    reason = f"more than {CLOSE_TO_TEACHER:.2f} below the teacher's {means.teacher:.3f}"
    return StudentVerdict("RETUNE", metric, means, f"{scored}, {reason}: more data or other tuning may close the gap.")


def _reaches(score: float, threshold: float) -> bool:
    return score >= threshold - _ROUNDING


def _hardly_above_base(means: MeanScores) -> bool:
    return not _reaches(means.student, means.base + HARDLY_ABOVE_BASE)


def _beside_teacher(means: MeanScores) -> str:
    if means.student > means.teacher + _ROUNDING:
        return f"above the teacher's {means.teacher:.3f}"
    return f"within {CLOSE_TO_TEACHER:.2f} of the teacher's {means.teacher:.3f}"


def _warning(means: MeanScores, kind: TaskKind) -> str:
    """What a reader must know beside a DEPLOY: a weak teacher, or a base student that was as good already."""
    if not _reaches(means.teacher, PROCEED_AT[kind]):
        return f"; but the teacher itself is below the {PROCEED_AT[kind]:.2f} that teaching asks for"
    if _hardly_above_base(means):
        return f"; but the base student reaches {means.base:.3f} without tuning"
    return ""
