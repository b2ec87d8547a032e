"""The reward of reinforcement learning: a judge says of what the student wrote whether it is good (1) or bad (0)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from distil_dagster.errors import TrainingError
from distil_dagster.evaluation.judging import Judge, JudgeCase, Judged, Unread
from distil_dagster.tasks.base import Task
from distil_dagster.training.rows import RewardRow

log = logging.getLogger("distil_dagster")

PHASE = "rlvr"
# A training is not given up for a few failures at its beginning.
_FEW_FAILURES = 20


class JudgeReward:
    """A reward function for TRL's trainer. It judges a batch of completions at once, as the task parses them.

    A judgement that cannot be had is None: that completion teaches nothing, and the mean of its group leaves it out.
    `asked`, `good` and `failed` count this process's judgements.
    """

    def __init__(
        self, judge: Judge, task: Task, rows: Sequence[RewardRow], read: Callable[[Sequence[int]], str]
    ) -> None:
        self._judge = judge
        self._task = task
        self._rows = {row.id: row for row in rows}
        self._read = read
        self.asked = self.good = self.failed = 0
        self._last_failure = ""

    def __call__(
        self, *, completion_ids: Sequence[Sequence[int]], row_id: Sequence[str], **_: Any
    ) -> list[float | None]:
        """The rewards of completions (token ids) of the rows that `row_id` names.

        Raises:
            TrainingError: most judgements so far have failed.
            ProviderError, BudgetError: the judge cannot be asked any more.
        """
        cases = [self._case(row, ids) for row, ids in zip(row_id, completion_ids, strict=True)]
        judgements = self._judge.judge(cases, PHASE)
        self._count(judgements)
        self.demand_signal(_FEW_FAILURES)
        return [judgement.score if isinstance(judgement, Judged) else None for judgement in judgements]

    def demand_signal(self, few_failures: int = 0) -> None:
        """Stop where more than half of the judgements have failed, and more than `few_failures`.

        Raises:
            TrainingError: they have; carries the reason of the last one.
        """
        if self.failed > max(self.asked / 2, few_failures):
            raise TrainingError(
                f"rlvr: {self.failed} of {self.asked} judgements failed, so there is too little to learn from; "
                f"check tuning.rlvr_llm_as_a_judge_model_name ({self._judge.model}); the last one: {self._last_failure}"
            )

    def _case(self, row_id: str, ids: Sequence[int]) -> JudgeCase:
        row, parsed = self._rows[row_id], self._task.parse_prediction(self._read(ids))
        return JudgeCase(row.question, row.reference, parsed.text, row.context)

    def _count(self, judgements: Sequence[Judged | Unread]) -> None:
        failures = [judgement.reason for judgement in judgements if isinstance(judgement, Unread)]
        self.asked += len(judgements)
        self.good += sum(isinstance(judgement, Judged) and judgement.good for judgement in judgements)
        self.failed += len(failures)
        if failures:
            self._last_failure = failures[-1]
            log.warning("rlvr: %d of %d judgements failed: %s", len(failures), len(judgements), failures[-1])
