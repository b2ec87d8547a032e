"""TRL's GRPO trainer for processors: what all prompts of a step begin with is computed only once.

All prompts of a job share the system prompt, and a group of completions its whole prompt, while TRL reads the prompt
anew for each completion, once to write it and once to learn from it. Rewards, losses and gradients stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from trl import GRPOTrainer
from trl.models import unwrap_model_for_generation
from trl.trainer.utils import entropy_from_logits, selective_log_softmax

from distil_dagster.training.shared_prefix import Layout, lay_out, prefix_cache, repeated, shared_length


class PrefixGRPOTrainer(GRPOTrainer):
    """The trainer for students whose every layer attends to the whole past, trained without gradient checkpointing."""

    def _generate_single_turn(
        self, prompt_ids: Sequence[list[int]], *_: Any, **__: Any
    ) -> tuple[list[list[int]], None]:
        """Sampled completions of the prompts (token ids), each up to and with the token that stops."""
        layout = lay_out(prompt_ids, shared_length(prompt_ids), self._tokenizer.pad_token_id)
        with (
            unwrap_model_for_generation(
                self.model_wrapped, self.accelerator, generation_kwargs=self.generation_kwargs
            ) as model,
            torch.no_grad(),
        ):
            ids = torch.tensor(layout.input_ids)
            written = model.generate(
                input_ids=ids,
                attention_mask=torch.tensor(layout.attention_mask),
                past_key_values=_shared(model, layout),
                generation_config=self.generation_config,
            )
        return [_until_stop(row, self.eos_token_ids) for row in written[:, ids.shape[1] :].tolist()], None

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,  # noqa: ARG002 - all rows at once share most of their memory
        compute_entropy: bool = False,
        **_: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, None]:
        """Log-probabilities and entropies of the last `logits_to_keep` tokens of each row (`rows x logits_to_keep`).

        `input_ids` are prompts, filled up on the left, and completions, filled up on the right.
        """
        layout = _prompts_of(input_ids, attention_mask, logits_to_keep, self._tokenizer.pad_token_id)
        completions = (input_ids[:, -logits_to_keep:], attention_mask[:, -logits_to_keep:])
        ids, mask = (
            torch.cat([torch.tensor(prompts), rest], dim=1)
            for prompts, rest in zip((layout.input_ids, layout.attention_mask), completions, strict=True)
        )
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
        inner = self.accelerator.unwrap_model(model)
        with self.accelerator.autocast():
            cache = _shared(inner, layout)
            logits = model(
                input_ids=ids[:, layout.prefix :],
                attention_mask=mask,
                position_ids=positions[:, layout.prefix :],
                past_key_values=cache,
                use_cache=cache is not None,
                logits_to_keep=logits_to_keep + 1,
            ).logits[:, :-1]
        logits = logits.float() / self.temperature
        entropies = entropy_from_logits(logits.detach()) if compute_entropy else None
        return selective_log_softmax(logits, completions[0]), entropies, None


def _prompts_of(ids: torch.Tensor, mask: torch.Tensor, completion: int, pad_id: int) -> Layout:
    """The prompts in rows of prompts and completions, laid out behind what all of them begin with."""
    kept = mask[:, :-completion].bool()
    prompts = [row[own].tolist() for row, own in zip(ids[:, :-completion], kept, strict=True)]
    return lay_out(prompts, shared_length(prompts), pad_id)


def _shared(model: Any, layout: Layout) -> Any:
    """Keys and values of the prefix for every row; none where there is no prefix."""
    if not layout.prefix:
        return None
    return repeated(prefix_cache(model, torch.tensor([layout.input_ids[0][: layout.prefix]])), len(layout.input_ids))


def _until_stop(ids: list[int], stops: Sequence[int]) -> list[int]:
    end = next((at + 1 for at, token in enumerate(ids) if token in stops), len(ids))
    return ids[:end]
