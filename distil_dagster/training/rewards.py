"""The reward of reinforcement learning: a judge says of what the student wrote whether it is good (1) or bad (0).

Where the task can be checked against the reference as well (a class, a call of a tool), the reward is the mean of
verdict and check: a judge alone can be talked into things, and where the two drift apart it shows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from distil_dagster.errors import TrainingError
from distil_dagster.evaluation.judging import Judge, JudgeCase, Judged, Unread
from distil_dagster.evaluation.scoring import reference_check
from distil_dagster.tasks.base import Parsed, Task
from distil_dagster.training.rows import RewardRow

log = logging.getLogger("distil_dagster")

PHASE = "rlvr"
AGREEMENT = "agreement"
# The largest share of judgements that may fail; a training is not given up for a few failures at its beginning.
MOST_FAILED = 0.5
_FEW_FAILURES = 20


class JudgeReward:
    """A reward function for TRL's trainer. It judges a batch of completions at once, as the task parses them.

    A judgement that cannot be had is None: that completion teaches nothing, and the mean of its group leaves it out.
    `asked`, `good` and `failed` count judgements, `agreed` those that the check confirms: this process's,
    and once they are added up those of all.
    """

    def __init__(
        self, judge: Judge, task: Task, rows: Sequence[RewardRow], read: Callable[[Sequence[int]], str]
    ) -> None:
        self._judge = judge
        self._task = task
        self._check = reference_check(task)
        self._rows = {row.id: row for row in rows}
        self._read = read
        self.asked = self.good = self.failed = self.agreed = 0
        self._last_failure = ""

    @property
    def agreement(self) -> float | None:
        """The share of judgements that the check confirms; none where there is no check."""
        judged = self.asked - self.failed
        return self.agreed / judged if self._check is not None and judged else None

    def __call__(
        self,
        *,
        completion_ids: Sequence[Sequence[int]],
        row_id: Sequence[str],
        log_metric: Callable[[str, float], None] | None = None,
        **_: Any,
    ) -> list[float | None]:
        """The rewards of completions (token ids) of the rows that `row_id` names.

        `log_metric` is TRL's: it takes the share of verdicts that the check confirms.

        Raises:
            TrainingError: most judgements so far have failed.
            ProviderError, BudgetError: the judge cannot be asked any more.
        """
        rows = [self._rows[name] for name in row_id]
        answers = [self._task.parse_prediction(self._read(ids)) for ids in completion_ids]
        judgements = self._judge.judge(list(map(case_of, rows, answers)), PHASE)
        self._count(judgements)
        self.demand_signal(_FEW_FAILURES)
        if self._check is None:
            return [_verdict(judgement) for judgement in judgements]
        checks = [self._check(row.reference, answer) for row, answer in zip(rows, answers, strict=True)]
        self._compare(judgements, checks, log_metric)
        return [
            (judgement.score + check) / 2 if isinstance(judgement, Judged) else None
            for judgement, check in zip(judgements, checks, strict=True)
        ]

    def demand_signal(self, few_failures: int = 0) -> None:
        """Stop where more than half of the judgements have failed, and more than `few_failures`.

        Raises:
            TrainingError: they have; carries the reason of the last one.
        """
        if self.failed > max(self.asked * MOST_FAILED, few_failures):
            raise TrainingError(
                f"rlvr: {self.failed} of {self.asked} judgements failed, so there is too little to learn from; "
                f"check tuning.rlvr_llm_as_a_judge_model_name ({self._judge.model}); the last one: {self._last_failure}"
            )

    def add_up_processes(self) -> None:
        """Count what the processes that train together have judged as one; to be called by each of them, once."""
        from accelerate.utils import gather_object

        counts = gather_object([(self.asked, self.good, self.failed, self.agreed)])
        self.asked, self.good, self.failed, self.agreed = map(sum, zip(*counts, strict=True))

    def _count(self, judgements: Sequence[Judged | Unread]) -> None:
        failures = [judgement.reason for judgement in judgements if isinstance(judgement, Unread)]
        self.asked += len(judgements)
        self.good += sum(isinstance(judgement, Judged) and judgement.good for judgement in judgements)
        self.failed += len(failures)
        if failures:
            self._last_failure = failures[-1]
            log.warning("rlvr: %d of %d judgements failed: %s", len(failures), len(judgements), failures[-1])

    def _compare(
        self,
        judgements: Sequence[Judged | Unread],
        checks: Sequence[float],
        log_metric: Callable[[str, float], None] | None,
    ) -> None:
        agreed = [
            judgement.score == check
            for judgement, check in zip(judgements, checks, strict=True)
            if isinstance(judgement, Judged)
        ]
        self.agreed += sum(agreed)
        if agreed and log_metric is not None:
            log_metric(AGREEMENT, sum(agreed) / len(agreed))


def case_of(row: RewardRow, answer: Parsed) -> JudgeCase:
    """What the judge of an answer to a row sees."""
    return JudgeCase(row.question, row.reference, answer.text, row.context)


def _verdict(judgement: Judged | Unread) -> float | None:
    return judgement.score if isinstance(judgement, Judged) else None
