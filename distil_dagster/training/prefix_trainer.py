"""TRL's SFT trainer for processors: logits of answers alone, and what all rows of a batch begin with only once.

Both leave the loss as it is. Logits are a large share of a small student's work (49,152 a token in SmolLM2), and
TRL computes those of the prompt too where there is no Triton. On 150-token rows, 110 of them
system prompt, the first gave 1.6 times the examples a second, both together 3.4 times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from trl import SFTTrainer

from distil_dagster.training.formatting import IGNORED
from distil_dagster.training.shared_prefix import can_share, fill, lay_out, prefix_cache, shared_length


@dataclass(frozen=True)
class PrefixCollator:
    """Brings rows to one length as `shared_prefix` lays them out; without `share` the prefix is empty."""

    pad_id: int
    model_type: str
    share: bool

    def __call__(self, rows: Sequence[Mapping[str, list[int]]]) -> dict[str, Any]:
        """Tensors of `rows x length`, the length of the prefix, and how many positions hold the longest answer."""
        answers = [sum(label != IGNORED for label in row["labels"]) for row in rows]
        prompts = [row["input_ids"][: len(row["input_ids"]) - count] for row, count in zip(rows, answers, strict=True)]
        prefix = shared_length(prompts) if self.share and can_share(self.model_type) else 0
        layout = lay_out([row["input_ids"] for row in rows], prefix, self.pad_id)
        return {
            "input_ids": torch.tensor(layout.input_ids),
            "attention_mask": torch.tensor(layout.attention_mask),
            "labels": torch.tensor(fill([row["labels"] for row in rows], prefix, IGNORED)),
            "prefix": prefix,
            "answer_length": max(answers),
        }


class PrefixTrainer(SFTTrainer):
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
        return answer_loss(model, inputs, num_items_in_batch)


def answer_loss(model: Any, inputs: Mapping[str, Any], count: Any = None) -> torch.Tensor:
    """Cross-entropy summed over the answers' tokens, over their number or that of the whole update."""
    labels = inputs["labels"][:, -inputs["answer_length"] :]
    trained = labels != IGNORED
    logits = _answer_logits(model, inputs)[trained]
    return cross_entropy(logits.float(), labels[trained], reduction="sum") / (trained.sum() if count is None else count)


def _answer_logits(model: Any, inputs: Mapping[str, Any]) -> torch.Tensor:
    """Logits of `rows x answer_length x vocabulary` for the last places; each predicts the token of its own place."""
    ids, mask, prefix = inputs["input_ids"], inputs["attention_mask"], inputs["prefix"]
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    cache = prefix_cache(model, ids[:1, :prefix], len(ids)) if prefix else None
    outputs = model(
        input_ids=ids[:, prefix:],
        attention_mask=mask,
        position_ids=positions[:, prefix:],
        past_key_values=cache,
        use_cache=cache is not None,
        logits_to_keep=inputs["answer_length"] + 1,
    )
    return outputs.logits[:, :-1]
