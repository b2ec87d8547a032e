from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from distil_dagster.data.examples import Example
from distil_dagster.data.job import JobDescription
from distil_dagster.data.messages import Message
from distil_dagster.evaluation.judging import Judge, JudgeCase, Judged, Unread
from distil_dagster.evaluation.metrics import TEXT_METRICS
from distil_dagster.evaluation.scoring import metrics_for, score_predictions
from distil_dagster.progress import Progress
from distil_dagster.tasks.base import Parsed, Task


@dataclass(frozen=True)
class Intents:
    """A task with two classes; it forgives letter case."""

    metrics: Sequence[str] = ("accuracy", "exact_match", "llm_as_a_judge")

    def parse_prediction(self, text: str) -> Parsed:
        name = text.strip().lower()
        return Parsed(name, valid=True) if name in ("arrival", "pin") else Parsed(text, valid=False, problem="no class")

    def question_text(self, example: Example) -> str:
        return f"Customer: {example.question}"


@dataclass(frozen=True)
class FakeJudge(Judge):
    """Good where prediction and reference agree; no verdict on long predictions."""

    cases: list[JudgeCase] = field(default_factory=list)

    def judge(
        self, cases: Sequence[JudgeCase], phase: str = "judging", progress: Progress | None = None
    ) -> list[Judged | Unread]:
        self.cases.extend(cases)
        return [
            Unread("truncated: too long")
            if len(case.prediction) > 10
            else Judged(good=case.prediction == case.reference, reason=f"{case.prediction} it is")
            for case in cases
        ]


def row(question: str, answer: str, context: str | None = None) -> Example:
    messages = (Message(role="user", content=question), Message(role="assistant", content=answer))
    return Example(messages=messages, context=context)


ROWS = [row("where is it", "arrival", "a passage"), row("my code", "pin"), row("my code again", "pin")]
TEXTS = ["ARRIVAL", "arrival", "well, that depends"]


@pytest.fixture
def judge() -> FakeJudge:
    return FakeJudge(client=None, model="judge", job=JobDescription(task_description="Name it."))  # type: ignore[arg-type]


def test_each_text_is_parsed_by_the_task_and_scored_in_the_tasks_metrics(judge: FakeJudge) -> None:
    model = score_predictions(Intents(), ROWS, TEXTS, judge, model="sft", label="tiny")
    assert (model.model, model.label) == ("sft", "tiny")
    assert [prediction.prediction for prediction in model.rows] == ["arrival", "arrival", "well, that depends"]
    assert [prediction.raw for prediction in model.rows] == TEXTS
    assert [prediction.valid for prediction in model.rows] == [True, True, False]
    assert model.scores("accuracy") == [1.0, 0.0, 0.0]
    assert model.scores("exact_match") == [1.0, 0.0, 0.0]


def test_an_unread_verdict_is_missing_and_keeps_its_reason(judge: FakeJudge) -> None:
    model = score_predictions(Intents(), ROWS, TEXTS, judge, model="sft", label="tiny")
    assert model.scores("llm_as_a_judge") == [1.0, 0.0, None]
    assert [prediction.verdict_reason for prediction in model.rows] == [
        "arrival it is",
        "arrival it is",
        "truncated: too long",
    ]


def test_the_judge_sees_question_context_reference_and_what_the_task_read(judge: FakeJudge) -> None:
    score_predictions(Intents(), ROWS[:1], TEXTS[:1], judge, model="base", label="tiny")
    assert judge.cases == [JudgeCase("Customer: where is it", "arrival", "arrival", "a passage")]


def test_rows_that_are_right_word_for_word_are_judged_as_well(judge: FakeJudge) -> None:
    score_predictions(Intents(), ROWS, ["arrival", "pin", "pin"], judge, model="base", label="tiny")
    assert len(judge.cases) == 3


def test_without_a_judge_there_is_no_judges_score() -> None:
    model = score_predictions(Intents(), ROWS, TEXTS, None, model="original", label="gpt")
    assert set(model.rows[0].scores) == {"accuracy", "exact_match"}
    assert model.rows[0].verdict_reason == ""


def test_a_task_that_is_not_judged_asks_no_judge(judge: FakeJudge) -> None:
    score_predictions(Intents(metrics=("accuracy",)), ROWS, TEXTS, judge, model="base", label="tiny")
    assert judge.cases == []


def test_rows_carry_what_a_reader_needs(judge: FakeJudge) -> None:
    [prediction] = score_predictions(Intents(), ROWS[:1], TEXTS[:1], judge, model="base", label="tiny").rows
    assert (prediction.id, prediction.answer) == (ROWS[0].id, "arrival")
    assert prediction.question == "Customer: where is it"
    assert prediction.context == "a passage"


def test_a_metric_of_ones_own_is_computed_by_its_name() -> None:
    task = Intents(metrics=("length",))
    model = score_predictions(
        task,
        ROWS,
        TEXTS,
        None,
        model="base",
        label="tiny",
        metrics={"length": lambda _, parsed: float(len(parsed.text))},
    )
    assert model.scores("length") == [7.0, 7.0, 18.0]


def test_a_metric_that_nobody_computes_is_an_error() -> None:
    with pytest.raises(KeyError, match="bleu"):
        score_predictions(Intents(metrics=("bleu",)), ROWS, TEXTS, None, model="base", label="tiny")


def test_as_many_texts_as_rows_are_needed(judge: FakeJudge) -> None:
    with pytest.raises(ValueError, match="shorter"):
        score_predictions(Intents(), ROWS, TEXTS[:2], judge, model="base", label="tiny")


def test_a_job_without_tools_is_scored_as_text(task: Task) -> None:
    assert metrics_for(task) == TEXT_METRICS
    assert set(task.metrics) - {"llm_as_a_judge"} <= metrics_for(task).keys()


def test_calls_of_tools_are_scored_by_what_they_call(
    boat_task: Task, boat_hire: Callable[[int], Example], judge: FakeJudge
) -> None:
    rows = boat_task.turns(boat_hire(2))
    texts = [
        '<tool_call>\n{"name": "find_boat", "arguments": {"seats": 2}}\n</tool_call>',
        '{"name": "hire_boat", "parameters": {"hours": 3, "boat": "Swan"}}',
    ]
    model = score_predictions(boat_task, rows, texts, judge, model="sft", label="tiny", metrics=metrics_for(boat_task))
    assert model.scores("tool_call_equivalence") == [1.0, 0.0]
    assert model.scores("staged_tool_call") == [1.0, 0.75]
    assert [row.valid for row in model.rows] == [True, True]
    assert "We are 2 and want to row." in model.rows[1].question
    assert "Fine, for three hours." in model.rows[1].question
