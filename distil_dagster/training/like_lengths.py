"""Batches of rows of like length: what fills short rows up to the longest of a batch is computed for nothing.

Between 8 rows of 50 to 700 tokens in random order there is as much filling as text. The trainer's own
`group_by_length` goes from long to short within a part of the epoch, so that the learning rate falls with the length
and the loss with both; here batches of like length come in random order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from torch.utils.data import Sampler
from trl import SFTTrainer

# Rows are sorted within so many batches: under a tenth of the work is filling, and who meets whom stays random.
_SORTED_BATCHES = 16


class LikeLengths(Sampler[int]):
    """Positions of rows, `batch` consecutive ones of like length; those that fill no batch come last.

    The order of an epoch depends on `seed` and the epoch's number alone, so that a training that goes on after a kill
    meets the rows that it would have met.
    """

    def __init__(self, lengths: Sequence[int], batch: int, seed: int) -> None:
        self._lengths = lengths
        self._batch = batch
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch the next iteration is; the trainer does."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        random = Random(f"{self._seed}/{self._epoch}")
        order = list(range(len(self)))
        random.shuffle(order)
        full = len(order) - len(order) % self._batch
        batches = self._sorted_batches(order[:full])
        random.shuffle(batches)
        return iter([at for batch in [*batches, order[full:]] for at in batch])

    def _sorted_batches(self, order: Sequence[int]) -> list[list[int]]:
        part = self._batch * _SORTED_BATCHES
        parts = [sorted(order[at : at + part], key=self._lengths.__getitem__) for at in range(0, len(order), part)]
        return [rows[at : at + self._batch] for rows in parts for at in range(0, len(rows), self._batch)]


class LikeLengthsTrainer(SFTTrainer):
    """TRL's SFT trainer on batches of like length; processes that train together have like lengths at each step."""

    def _get_train_sampler(self, train_dataset: Any = None) -> LikeLengths:
        rows = self.train_dataset if train_dataset is None else train_dataset
        lengths = [len(ids) for ids in rows["input_ids"]]
        return LikeLengths(lengths, self.args.train_batch_size * self.args.world_size, self.args.seed)
