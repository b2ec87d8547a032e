"""Answers of a model to many rows: greedy, in batches of rows of like length."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from typing import Any

from distil_dagster.progress import Progress
from distil_dagster.training.formatting import ChatFormat, load_chat_format
from distil_dagster.training.job import PredictJob
from distil_dagster.training.models import has_gpu, load_answering
from distil_dagster.training.rows import ChatRow, Written, read_rows, write_rows
from distil_dagster.training.shared_prefix import can_share, lay_out, prefix_cache, repeated, shared_length

# Tokens that a batch may hold, answers included: 2 to 4 GB of keys and values in most students.
PLACES = 16_384
# Leaving rows out of a batch copies the others' keys and values, as every step does: worth it once so many are done.
_DONE = 1 / 4


def predict(job: PredictJob) -> list[Written]:
    """Answer every row and write the answers in the rows' order; by vLLM where that is installed beside a GPU.

    Raises:
        TrainingError: a row is too long for the model, or a folder cannot be read.
    """
    rows = read_rows(job.rows, ChatRow)
    chat = load_chat_format(job.model)
    prompts = [chat.prompt_ids(row) for row in rows]
    if has_gpu() and importlib.util.find_spec("vllm") is not None:
        from distil_dagster.training.vllm_predict import answers_by_vllm

        answers, stops = answers_by_vllm(job, prompts)
    else:
        model = load_answering(job.model, job.adapter)
        progress = Progress("predict", len(prompts), "rows")
        answers, stops = answer_all(model, chat, prompts, job.max_new_tokens, job.batch_size, progress)
    written = [read_answer(row.id, ids, chat, stops) for row, ids in zip(rows, answers, strict=True)]
    write_rows(job.output, written)
    return written


def batches_by_length(
    prompts: Sequence[Sequence[int]], batch_size: int, max_new_tokens: int, places: int = PLACES
) -> Iterator[list[int]]:
    """Positions of the prompts in batches, longest first: memory that suffices for the first suffices for all.

    A batch has at most `batch_size` rows and no more than `places` tokens, and no row is filled up to more than twice
    its length, all this if each writes `max_new_tokens`.
    """
    lengths = [len(prompt) + max_new_tokens for prompt in prompts]
    order = sorted(range(len(prompts)), key=lambda at: -lengths[at])
    while order:
        longest = lengths[order[0]]
        fitting = order[: max(1, min(batch_size, places // longest))]
        batch = [at for at in fitting if 2 * lengths[at] >= longest]
        yield batch
        order = order[len(batch) :]


def answer_all(
    model: Any,
    chat: ChatFormat,
    prompts: Sequence[list[int]],
    max_new_tokens: int,
    batch_size: int,
    progress: Progress | None = None,
) -> tuple[list[list[int]], frozenset[int]]:
    """The token ids that a model writes after each prompt, and the ids that end an answer."""
    stops = stop_ids(model, chat)
    generator = Generator(model, chat.pad_id, stops, prompts, max_new_tokens)
    answers: dict[int, list[int]] = {}
    for batch in batches_by_length(prompts, batch_size, max_new_tokens):
        answers.update(zip(batch, generator.answer(batch), strict=True))
        if progress is not None:
            progress.advance(len(batch))
    return [answers[at] for at in range(len(prompts))], stops


class Generator:
    """Answers prompts with one model; what all of them begin with is computed once."""

    def __init__(
        self, model: Any, pad_id: int, stops: frozenset[int], prompts: Sequence[list[int]], max_new_tokens: int
    ) -> None:
        self._model = model
        self._pad_id = pad_id
        self._stops = stops
        self._prompts = prompts
        self._max_new_tokens = max_new_tokens
        self._prefix = shared_length(prompts) if can_share(model.config.model_type) else 0
        self._prefix_cache: Any = None

    def answer(self, batch: Sequence[int]) -> list[list[int]]:
        """The token ids written after the prompts of `batch`, in its order, up to and with the one that stops.

        Where the GPU's memory does not suffice, the halves of the batch are answered one after the other.

        Raises:
            torch.OutOfMemoryError: it does not suffice for a single prompt.
        """
        import torch

        try:
            with torch.inference_mode():
                return self._answer_together(batch)
        except torch.OutOfMemoryError:
            if len(batch) == 1:
                raise
        # Outside the handler: the error holds on to what was computed.
        torch.cuda.empty_cache()
        half = len(batch) // 2
        return self.answer(batch[:half]) + self.answer(batch[half:])

    def _answer_together(self, batch: Sequence[int]) -> list[list[int]]:
        import torch

        device = self._model.device
        layout = lay_out([self._prompts[at] for at in batch], self._prefix, self._pad_id)
        mask = torch.tensor(layout.attention_mask, device=device)
        given = torch.tensor(layout.input_ids, device=device)[:, self._prefix :]
        cache = self._cache(len(batch))
        answers: list[list[int]] = [[] for _ in batch]
        writing = list(range(len(batch)))
        places = list(writing)
        for _ in range(self._max_new_tokens):
            tokens = self._next_tokens(given, mask, cache)
            for place, token in zip(places, tokens.tolist(), strict=True):
                if place in writing:
                    answers[place].append(token)
            writing = [place for place in writing if answers[place][-1] not in self._stops]
            if not writing:
                break
            if len(writing) <= (1 - _DONE) * len(places):
                kept = torch.tensor([places.index(place) for place in writing], device=device)
                cache.reorder_cache(kept)
                tokens, mask, places = tokens[kept], mask[kept], list(writing)
            given, mask = tokens[:, None], torch.cat([mask, mask.new_ones(len(places), 1)], dim=1)
        return answers

    def _next_tokens(self, given: Any, mask: Any, cache: Any) -> Any:
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -given.shape[1] :]
        outputs = self._model(
            input_ids=given,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return outputs.logits[:, -1].argmax(dim=-1)

    def _cache(self, rows: int) -> Any:
        import torch
        from transformers import DynamicCache

        if not self._prefix:
            return DynamicCache(config=self._model.config)
        if self._prefix_cache is None:
            shared = torch.tensor([self._prompts[0][: self._prefix]], device=self._model.device)
            self._prefix_cache = prefix_cache(self._model, shared)
        return repeated(self._prefix_cache, rows)


def stop_ids(model: Any, chat: ChatFormat) -> frozenset[int]:
    """The tokens that end an answer: those of the student's template and family, and what the model's settings name."""
    own = model.generation_config.eos_token_id
    named = own if isinstance(own, list) else [] if own is None else [own]
    return chat.stop_ids.union(named)


def read_answer(row_id: str, ids: Sequence[int], chat: ChatFormat, stops: frozenset[int]) -> Written:
    """An answer's text, without the token that stops, and how it ended."""
    stopped = bool(ids) and ids[-1] in stops
    text = chat.decode(ids[:-1] if stopped else ids)
    return Written(id=row_id, text=text, finish_reason="stop" if stopped else "length")
