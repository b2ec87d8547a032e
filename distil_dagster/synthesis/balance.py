"""How many examples are wanted of each class, of each tool or from each context, and what one iteration asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from distil_dagster.data.folder import UnstructuredRow


@dataclass(frozen=True)
class Subject:
    """What the examples of one quota have in common: a class or tool, a context, or nothing but the task."""

    label: str | None = None
    context: UnstructuredRow | None = None

    @property
    def name(self) -> str:
        """The label, where the context comes from, or nothing."""
        return self.label or (self.context.source if self.context else "")


def label_quotas(target: int, labels: Sequence[str], seed_counts: Mapping[str, int] | None) -> dict[Subject, int]:
    """The number of examples wanted of each label, adding up to `target`.

    Equal shares, or shares in proportion to `seed_counts` where they are given. Tasks without labels have one quota.
    """
    if not labels:
        return {Subject(): target}
    weights = [1 if seed_counts is None else seed_counts.get(label, 0) for label in labels]
    return {Subject(label): share for label, share in zip(labels, shares(target, weights), strict=True)}


def context_quotas(
    target: int, per_context: int | None, contexts: Sequence[UnstructuredRow], random: Random
) -> dict[Subject, int]:
    """The number of examples wanted from each context: `per_context`, or equal shares of `target` where that is None.

    The contexts come in random order, so that a target below their number is not met from the first of them alone.
    """
    subjects = [Subject(context=context) for context in contexts]
    if per_context is not None:
        return dict.fromkeys(subjects, per_context)
    random.shuffle(subjects)
    return dict(zip(subjects, shares(target, [1] * len(subjects)), strict=True))


def shares(target: int, weights: Sequence[int]) -> list[int]:
    """`target` divided in proportion to `weights`; equally where they are all zero.

    What does not divide evenly goes to the largest remainders, earlier ones first (Hamilton's method).
    """
    fair = weights if any(weights) else [1] * len(weights)
    total = sum(fair)
    exact = [target * weight / total for weight in fair]
    floors = [int(share) for share in exact]
    by_remainder = sorted(range(len(weights)), key=lambda i: (floors[i] - exact[i], i))
    for index in by_remainder[: target - sum(floors)]:
        floors[index] += 1
    return floors


def plan_iteration(
    missing: Mapping[Subject, int], iteration_size: int, in_single_call: int, random: Random
) -> list[tuple[Subject, int]]:
    """The calls of one iteration, each a subject and a count, as few as are allowed.

    Together they ask for `iteration_size` examples at most; the subjects take turns, in random order.
    """
    left = {subject: count for subject, count in missing.items() if count > 0}
    subjects = list(left)
    random.shuffle(subjects)
    planned: list[tuple[Subject, int]] = []
    room = iteration_size
    while room > 0 and subjects:
        for subject in list(subjects):
            count = min(in_single_call, left[subject], room)
            if count <= 0:
                break
            planned.append((subject, count))
            left[subject] -= count
            room -= count
            if not left[subject]:
                subjects.remove(subject)
    return planned
