"""How many examples of each class (or tool) are wanted, and what the next iteration asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

from distil_dagster.tasks.base import GenerationRequest

Label = str | None


def quotas(target: int, labels: Sequence[str], seed_counts: Mapping[str, int] | None) -> dict[Label, int]:
    """The number of examples wanted of each label, adding up to `target`.

    Equal shares, or shares in proportion to `seed_counts` where they are given; what does not divide evenly goes to the
    largest remainders, earlier labels first (Hamilton's method). Tasks without labels have the one quota of `None`.
    """
    if not labels:
        return {None: target}
    weights = [1 if seed_counts is None else seed_counts.get(label, 0) for label in labels]
    if not sum(weights):
        weights = [1] * len(labels)
    exact = [target * weight / sum(weights) for weight in weights]
    floors = [int(share) for share in exact]
    by_remainder = sorted(range(len(labels)), key=lambda i: (floors[i] - exact[i], i))
    for index in by_remainder[: target - sum(floors)]:
        floors[index] += 1
    return dict(zip(labels, floors, strict=True))


def plan_iteration(
    missing: Mapping[Label, int], iteration_size: int, in_single_call: int, random: Random
) -> list[GenerationRequest]:
    """The calls of one iteration: at most `iteration_size` examples, the labels in turn, as few calls as allowed."""
    left = Counter({label: count for label, count in missing.items() if count > 0})
    labels = list(left)
    random.shuffle(labels)
    planned: list[GenerationRequest] = []
    room = iteration_size
    while room > 0 and labels:
        for label in list(labels):
            count = min(in_single_call, left[label], room)
            if count <= 0:
                break
            planned.append(GenerationRequest(count, label))
            left[label] -= count
            room -= count
            if not left[label]:
                labels.remove(label)
    return planned
