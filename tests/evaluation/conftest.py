from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import pytest

from distil_dagster.data.examples import Example
from distil_dagster.data.messages import Message
from distil_dagster.evaluation.data_statistics import split_statistics
from distil_dagster.evaluation.predictions import ModelPredictions, ModelRole, Prediction
from distil_dagster.evaluation.report_input import Chart, Curve, PhaseCounts, PhaseSpend, ReportInput, Setting
from distil_dagster.evaluation.summary import Evaluation, evaluate

CLASSES = (
    "card_arrival",
    "change_pin",
    "lost_or_stolen_card",
    "declined_cash_withdrawal",
    "cash_withdrawal_charge",
    "transaction_charged_twice",
)
METRICS = ("accuracy", "rouge_l", "llm_as_a_judge")
LABELS: dict[ModelRole, str] = {
    "original": "gpt-4o-mini-2024-07-18",
    "teacher": "openai.gpt-oss-120b",
    "base": "SmolLM2-135M-Instruct",
    "sft": "SmolLM2-135M-Instruct + LoRA",
    "rlvr": "SmolLM2-135M-Instruct + LoRA",
}


def example(question: str, answer: str, context: str | None = None) -> Example:
    messages = (Message(role="user", content=question), Message(role="assistant", content=answer))
    return Example(messages=messages, context=context)


def prediction(number: int, answer: str, text: str, *, valid: bool = True, verdict: float | None = None) -> Prediction:
    right = float(text == answer)
    return Prediction(
        id=f"row-{number}",
        question=f"Question {number}: my card, again?",
        answer=answer,
        prediction=text,
        raw=text,
        valid=valid,
        scores={
            "accuracy": right,
            "rouge_l": max(right, 0.25),
            "llm_as_a_judge": right if verdict is None else verdict,
        },
    )


def model_of(role: ModelRole, texts: Sequence[str], answers: Sequence[str]) -> ModelPredictions:
    """Predictions of `texts` against `answers`; a text outside the classes is not valid."""
    rows = [
        prediction(number, answer, text, valid=text in CLASSES)
        for number, (text, answer) in enumerate(zip(texts, answers, strict=True))
    ]
    return ModelPredictions(model=role, label=LABELS[role], rows=tuple(rows))


def made_up_texts(answers: Sequence[str], right: float, garbage: float, seed: int) -> list[str]:
    random = Random(seed)
    return [
        answer
        if random.random() < right
        else ("I am a language model, and I think" if random.random() < garbage else random.choice(CLASSES))
        for answer in answers
    ]


@pytest.fixture
def make_model() -> Callable[[ModelRole, Sequence[str], Sequence[str]], ModelPredictions]:
    return model_of


@pytest.fixture
def make_evaluation() -> Callable[..., Evaluation]:
    def make(rows: int = 120, tuned: float = 0.93, primary: str = "accuracy", rlvr: bool = False) -> Evaluation:
        answers = [CLASSES[number % len(CLASSES)] for number in range(rows)]
        models = [
            model_of("original", made_up_texts(answers, 0.80, 0.1, 1), answers),
            model_of("teacher", made_up_texts(answers, 0.94, 0.0, 2), answers),
            model_of("base", made_up_texts(answers, 0.10, 0.8, 3), answers),
            model_of("sft", made_up_texts(answers, tuned, 0.2, 4), answers),
        ]
        if rlvr:
            models.append(model_of("rlvr", made_up_texts(answers, tuned + 0.02, 0.2, 5), answers))
        return evaluate(models, METRICS, primary, delivered="rlvr" if rlvr else "sft")

    return make


@pytest.fixture
def full_report(make_evaluation: Callable[..., Evaluation]) -> ReportInput:
    """A report that has every part."""
    evaluation = make_evaluation(rlvr=True)
    train = [example(f"train {number} " + "x" * number, CLASSES[number % 4]) for number in range(40)]
    test = [example(f"test {number}", CLASSES[number % 6]) for number in range(120)]
    return ReportInput(
        title="Banking intents",
        task="classification",
        created="2025-11-22",
        evaluation=evaluation,
        classes=CLASSES,
        splits=(
            split_statistics("train", train, lambda row: (row.answer,), CLASSES),
            split_statistics("synthetic", train * 20, lambda row: (row.answer,), CLASSES),
            split_statistics("test", test, lambda row: (row.answer,), CLASSES),
        ),
        counts=(
            PhaseCounts("filtering", 180, {"relevance below 4": 12, "coherence below 3": 8}),
            PhaseCounts("relabelling", 176, {"changed by the committee": 41, "not a class": 4}),
            PhaseCounts("synthesis", 800, {"similar to a seed": 95, "similar to accepted": 210, "not a class": 7}),
        ),
        spend=(
            PhaseSpend("filtering", 7, 0, 61_234, 3_210, 0.0123),
            PhaseSpend("synthesis", 278, 12, 512_000, 98_765, 0.1871),
            PhaseSpend("judging", 600, 120, 240_000, 41_000, 1.0712),
        ),
        settings=(Setting("tuning.learning_rate", 0.0005, 5e-05), Setting("synthgen.generation_target", 800, 10_000)),
        charts=(
            Chart(
                "Loss while training (SFT)",
                "loss",
                (
                    Curve("training", tuple((step, 2.4 / (1 + step / 12) + 0.05) for step in range(1, 120))),
                    Curve("held out", tuple((step, 2.2 / (1 + step / 14) + 0.12) for step in range(10, 120, 10))),
                ),
            ),
            Chart("Reward while training (RLVR)", "reward", (Curve("reward", ((1, 0.44), (10, 0.61), (20, 0.72))),)),
        ),
        delivered_reason="Accuracy on 40 rows that no training saw was 0.900 before RLVR and 0.925 after it",
        notices=("The teacher's answers in this run come from a simulator.",),
    )
