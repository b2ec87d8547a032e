"""The tokens that all prompts begin with are computed once, not once a row.

All rows of a job share the system prompt, which is most of their length. In a model that attends to everything before a
token, what the layers compute for a prefix does not depend on what follows: keys and values of the prefix, computed for
one row, serve them all. Gradients add up over the rows, so that training is the same too.

    row 1   [ prefix ][ pad ][ rest 1 ]
    row 2   [ prefix ][    rest 2     ]

Every row ends at the right edge, so that answers stand under each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

# Architectures whose every layer attends to the whole past; others hold sliding windows or states in their caches.
_FULL_ATTENTION = frozenset({"llama", "qwen3"})


@dataclass(frozen=True)
class Layout:
    """A batch: token ids and attention mask, both lists of `rows x length`, and how long the shared prefix is."""

    input_ids: list[list[int]]
    attention_mask: list[list[int]]
    prefix: int


def can_share(model_type: str) -> bool:
    """Whether a prefix may be computed once for models of this type."""
    return model_type in _FULL_ATTENTION


def shared_length(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts begin with, leaving each at least one of its own; 0 for a single prompt."""
    if len(prompts) < 2:
        return 0
    longest = min(len(prompt) for prompt in prompts) - 1
    alike = takewhile(lambda column: len(set(column)) == 1, zip(*prompts, strict=False))
    return min(longest, sum(1 for _ in alike))


def lay_out(rows: Sequence[Sequence[int]], prefix: int, pad_id: int) -> Layout:
    """Bring rows that begin with the same `prefix` tokens to one length."""
    return Layout(
        input_ids=fill(rows, prefix, pad_id),
        attention_mask=fill([[1] * len(row) for row in rows], prefix, 0),
        prefix=prefix,
    )


def fill(rows: Sequence[Sequence[int]], prefix: int, filler: int) -> list[list[int]]:
    """Rows of one length, with `filler` between the first `prefix` places and the rest."""
    length = max(len(row) for row in rows)
    return [[*row[:prefix], *[filler] * (length - len(row)), *row[prefix:]] for row in rows]


def prefix_cache(model: Any, prefix_ids: Any) -> Any:
    """Keys and values of a prefix (`1 x length` ids)."""
    from transformers import DynamicCache

    cache = DynamicCache(config=model.config)
    model(input_ids=prefix_ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return cache


def repeated(cache: Any, rows: int) -> Any:
    """A prefix's keys and values for `rows` rows; the given ones stay as they are."""
    from transformers import DynamicCache

    whole = (rows, -1, -1, -1)
    return DynamicCache([(layer.keys.expand(whole), layer.values.expand(whole)) for layer in cache.layers])
