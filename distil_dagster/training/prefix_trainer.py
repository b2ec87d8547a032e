"""TRL's SFT trainer for processors: logits of answers alone, and what all rows of a batch begin with only once.

Both leave the loss as it is. Logits are a large share of a small student's work (49,152 a token in SmolLM2), and TRL
computes those of the prompt too where there is no Triton. Rows are filled up at their ends, where no token of theirs
looks: so they need no mask, without which attention is faster. On 300-token rows, 280 of them system prompt, all this
gave 4 times the tokens a second of TRL's own trainer and a third of its memory (`benchmarks/sft.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from distil_dagster.training.formatting import IGNORED
from distil_dagster.training.like_lengths import LikeLengthsTrainer
from distil_dagster.training.shared_prefix import can_share, prefix_cache, repeated, shared_length

# Behind a prefix, attention needs a mask, which costs more than a prefix of less than this share of the rows saves.
_WORTHWHILE = 1 / 8


@dataclass(frozen=True)
class PrefixCollator:
    """Brings rows to one length and finds what all begin with; without `share`, or where they differ, nothing."""

    pad_id: int
    model_type: str
    share: bool

    def __call__(self, rows: Sequence[Mapping[str, list[int]]]) -> dict[str, Any]:
        """Ids and labels of `rows x length`, and the length of the prefix."""
        ids = _filled([row["input_ids"] for row in rows], self.pad_id)
        shared = shared_length([_prompt(row) for row in rows]) if self.share and can_share(self.model_type) else 0
        return {
            "input_ids": ids,
            "labels": _filled([row["labels"] for row in rows], IGNORED),
            "prefix": shared if shared >= _WORTHWHILE * ids.shape[1] else 0,
        }


class PrefixTrainer(LikeLengthsTrainer):
    """The trainer for batches of a `PrefixCollator`."""

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """The loss of a batch; `num_items_in_batch` counts the trained tokens of the whole update."""
        if return_outputs:
            raise NotImplementedError("this loss keeps no logits")
        loss = answer_loss(model, inputs, num_items_in_batch)
        # The count is that of all processes, and their gradients are averaged, not added up.
        return loss if num_items_in_batch is None else loss * self.accelerator.num_processes


def answer_loss(model: Any, inputs: Mapping[str, Any], count: Any = None) -> torch.Tensor:
    """Cross-entropy summed over the answers' tokens, over their number or that of the whole update."""
    ids, prefix = inputs["input_ids"], inputs["prefix"]
    # The first token behind the prefix belongs to a prompt: each place predicts the next one's token.
    targets = inputs["labels"][:, prefix + 1 :]
    trained = targets != IGNORED
    # Around a model that several processes train is a shell whose every pass forward counts as one more batch.
    inner = model.module if isinstance(model, DistributedDataParallel) else model
    cache = repeated(prefix_cache(inner, ids[:1, :prefix]), len(ids)) if prefix else None
    with _head_reading(inner, trained):
        logits = model(input_ids=ids[:, prefix:], past_key_values=cache, use_cache=cache is not None).logits
    loss = cross_entropy(logits.float(), targets[trained], reduction="sum")
    return loss / (trained.sum() if count is None else count)


@contextmanager
def _head_reading(model: Any, places: torch.Tensor) -> Iterator[None]:
    """Have the output layer give logits of `places` (`rows x length - 1`) alone, as `places x vocabulary`."""
    hook = model.get_output_embeddings().register_forward_pre_hook(lambda _, given: (given[0][:, :-1][places],))
    try:
        yield
    finally:
        hook.remove()


def _prompt(row: Mapping[str, list[int]]) -> list[int]:
    return [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label == IGNORED]


def _filled(rows: Sequence[Sequence[int]], filler: int) -> torch.Tensor:
    length = max(len(row) for row in rows)
    return torch.tensor([[*row, *[filler] * (length - len(row))] for row in rows])
