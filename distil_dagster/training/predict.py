"""Answers of a model to many rows: greedy, in batches of rows of like length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from distil_dagster.progress import Progress
from distil_dagster.training.formatting import ChatFormat, load_chat_format
from distil_dagster.training.job import PredictJob
from distil_dagster.training.models import load_answering
from distil_dagster.training.rows import ChatRow, Written, read_rows, write_rows
from distil_dagster.training.shared_prefix import can_share, lay_out, prefix_cache, shared_length


def predict(job: PredictJob) -> list[Written]:
    """Answer every row and write the answers in the rows' order.

    Raises:
        TrainingError: a row is too long for the model, or a folder cannot be read.
    """
    rows = read_rows(job.rows, ChatRow)
    chat = load_chat_format(job.model)
    prompts = [chat.prompt_ids(row) for row in rows]
    model = load_answering(job.model, job.adapter)
    generator = Generator(model, chat, prompts, job.max_new_tokens)
    answers: dict[int, Written] = {}
    progress = Progress("predict", len(rows), "rows")
    for batch in batches_by_length(prompts, job.batch_size):
        for at, ids in zip(batch, generator.answer(batch), strict=True):
            answers[at] = generator.written(rows[at].id, ids)
        progress.advance(len(batch))
    written = [answers[at] for at in range(len(rows))]
    write_rows(job.output, written)
    return written


def batches_by_length(prompts: Sequence[Sequence[int]], batch_size: int) -> Iterator[list[int]]:
    """Positions of the prompts in batches, longest first: memory that suffices for the first suffices for all."""
    order = sorted(range(len(prompts)), key=lambda at: -len(prompts[at]))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


class Generator:
    """Answers prompts with one model; what all of them begin with is computed once."""

    def __init__(self, model: Any, chat: ChatFormat, prompts: Sequence[list[int]], max_new_tokens: int) -> None:
        self._model = model
        self._chat = chat
        self._prompts = prompts
        self._max_new_tokens = max_new_tokens
        self._prefix = shared_length(prompts) if can_share(model.config.model_type) else 0
        self._stop_ids = stop_ids(model, chat)

    def answer(self, batch: Sequence[int]) -> list[list[int]]:
        """The token ids written after the prompts of `batch`, in its order, up to and with the one that stops."""
        import torch

        prompts = [self._prompts[at] for at in batch]
        layout = lay_out(prompts, self._prefix, self._chat.pad_id)
        device = self._model.device
        ids = torch.tensor(layout.input_ids, device=device)
        with torch.inference_mode():
            cache = prefix_cache(self._model, ids[:1, : layout.prefix], len(batch)) if layout.prefix else None
            written = self._model.generate(
                input_ids=ids,
                attention_mask=torch.tensor(layout.attention_mask, device=device),
                past_key_values=cache,
                generation_config=self._settings(),
            )
        return [self._until_stop(row) for row in written[:, ids.shape[1] :].tolist()]

    def written(self, row_id: str, ids: Sequence[int]) -> Written:
        """The text of an answer and how it ended."""
        stopped = bool(ids) and ids[-1] in self._stop_ids
        text = self._chat.decode(ids[:-1] if stopped else ids)
        return Written(id=row_id, text=text, finish_reason="stop" if stopped else "length")

    def _settings(self) -> Any:
        # A model's own settings may ask for sampling or penalties; only its special tokens matter here.
        from transformers import GenerationConfig

        return GenerationConfig(
            do_sample=False,
            max_new_tokens=self._max_new_tokens,
            eos_token_id=sorted(self._stop_ids),
            pad_token_id=self._chat.pad_id,
        )

    def _until_stop(self, ids: list[int]) -> list[int]:
        ends = [at for at, token in enumerate(ids) if token in self._stop_ids]
        return ids[: ends[0] + 1] if ends else ids


def stop_ids(model: Any, chat: ChatFormat) -> frozenset[int]:
    """The tokens that end an answer: the template's ends of text and call, and what the model's own settings name."""
    own = model.generation_config.eos_token_id
    named = own if isinstance(own, list) else [] if own is None else [own]
    return frozenset({chat.end_of_turn_id, chat.end_of_call_id, *named})
