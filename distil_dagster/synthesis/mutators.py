"""What pushes generation in different directions: one value of each active mutator and one topic of each topic list."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

VALUES: dict[str, tuple[str, ...]] = {
    "complexity": ("trivial", "simple", "medium", "complex", "highly complex"),
    "length": ("short and concise", "medium length", "detailed"),
    "specificity": ("generic and vague", "somewhat specific", "specific", "very specific"),
}


def draw_guidelines(mutators: Sequence[str], topics: Sequence[Sequence[str]], random: Random) -> list[tuple[str, str]]:
    """Pairs of a guideline's name and its value: one draw from each mutator, then one from each list of topics."""
    drawn = [(name, random.choice(VALUES[name])) for name in mutators]
    return drawn + [("topic", random.choice(pool)) for pool in topics if pool]
