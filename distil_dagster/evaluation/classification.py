"""Scores a class, and the confusion matrix, of a classifier's predictions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

NOT_A_CLASS = "(not a class)"


@dataclass(frozen=True)
class ClassScores:
    """One class: the share of its predictions that are right, of its rows that are found, and their harmonic mean.

    `support` is the number of rows whose reference is this class. A ratio over nothing counts as 0.0, as scikit-learn's
    `zero_division=0` has it.
    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class ClassificationReport:
    """How a classifier does over all rows and for each class.

    `confusion[i][j]` counts the rows of class i that were answered with class j, in the order of `classes`; the last
    column counts answers that are no class at all, so a matrix of n classes has n rows and n + 1 columns. `macro_f1` is
    the plain mean of F1 over the classes that have rows.
    """

    classes: tuple[str, ...]
    accuracy: float
    macro_f1: float
    per_class: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]

    @property
    def not_a_class(self) -> int:
        """How many answers are no class at all."""
        return sum(row[-1] for row in self.confusion)


def classification_report(
    references: Sequence[str], predictions: Sequence[str], classes: Sequence[str]
) -> ClassificationReport:
    """Count predictions against references, row by row.

    A prediction that is not among `classes` lands in the column `(not a class)`. References outside `classes` are an
    error of the test set and raise ValueError, as do sequences of different lengths or without rows.
    """
    if not references:
        raise ValueError("no rows to score")
    unknown = sorted(set(references) - set(classes))
    if unknown:
        raise ValueError(f"references that are not classes: {', '.join(unknown)}")
    known = set(classes)
    pairs = Counter(
        (reference, prediction if prediction in known else NOT_A_CLASS)
        for reference, prediction in zip(references, predictions, strict=True)
    )
    columns = (*classes, NOT_A_CLASS)
    confusion = tuple(tuple(pairs[row, column] for column in columns) for row in classes)
    per_class = tuple(_class_scores(index, label, confusion) for index, label in enumerate(classes))
    return ClassificationReport(
        classes=tuple(classes),
        accuracy=sum(confusion[i][i] for i in range(len(classes))) / len(references),
        macro_f1=_macro_f1(per_class),
        per_class=per_class,
        confusion=confusion,
    )


def _class_scores(index: int, label: str, confusion: Sequence[Sequence[int]]) -> ClassScores:
    right = confusion[index][index]
    support = sum(confusion[index])
    answered = sum(row[index] for row in confusion)
    precision = right / answered if answered else 0.0
    recall = right / support if support else 0.0
    f1 = 2 * right / (answered + support) if answered + support else 0.0
    return ClassScores(label=label, precision=precision, recall=recall, f1=f1, support=support)


def _macro_f1(per_class: Sequence[ClassScores]) -> float:
    scores = [scores.f1 for scores in per_class if scores.support]
    return sum(scores) / len(scores)
