from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from distil_dagster.evaluation.predictions import ModelPredictions, Prediction, write_predictions


def row(**changes: object) -> Prediction:
    values = {
        "id": "1",
        "question": "Where is my card?",
        "answer": "card_arrival",
        "prediction": "card_arrival",
        "raw": " card_arrival.",
        "valid": True,
        "scores": {"accuracy": 1.0, "llm_as_a_judge": None},
    }
    return Prediction.model_validate(values | changes)


def test_a_line_has_question_answer_prediction_context_and_a_key_a_metric(tmp_path: Path) -> None:
    path = tmp_path / "predictions" / "sft.jsonl"
    write_predictions(ModelPredictions(model="sft", label="tiny", rows=(row(context="a passage"),)), path)
    assert json.loads(path.read_text()) == {
        "question": "Where is my card?",
        "answer": "card_arrival",
        "prediction": "card_arrival",
        "context": "a passage",
        "accuracy": 1.0,
        "llm_as_a_judge": None,
    }


def test_line_separators_inside_texts_do_not_end_a_record(tmp_path: Path) -> None:
    path = tmp_path / "base.jsonl"
    rows = (row(question="a\u2028b\u2029c\nd"), row(question="plain"))
    write_predictions(ModelPredictions(model="base", label="tiny", rows=rows), path)
    lines = path.read_bytes().decode("utf-8").removesuffix("\n").split("\n")
    assert [json.loads(line)["question"] for line in lines] == ["a\u2028b\u2029c\nd", "plain"]


def test_lone_surrogates_survive_writing(tmp_path: Path) -> None:
    path = tmp_path / "base.jsonl"
    text = json.loads('"broken \\ud83d emoji"')
    write_predictions(ModelPredictions(model="base", label="tiny", rows=(row(prediction=text),)), path)
    assert json.loads(path.read_text(encoding="utf-8"))["prediction"] == text


def test_scores_are_not_rounded(tmp_path: Path) -> None:
    path = tmp_path / "base.jsonl"
    model = ModelPredictions(model="base", label="tiny", rows=(row(scores={"rouge_l": 1 / 3}),))
    write_predictions(model, path)
    assert json.loads(path.read_text())["rouge_l"] == 1 / 3


def test_missing_scores_are_counted_and_left_out_of_the_known_ones() -> None:
    rows = (row(), row(scores={"llm_as_a_judge": 1.0}), row(scores={"llm_as_a_judge": 0.0}))
    model = ModelPredictions(model="teacher", label="big", rows=rows)
    assert model.scores("llm_as_a_judge") == [None, 1.0, 0.0]
    assert model.known_scores("llm_as_a_judge") == [1.0, 0.0]
    assert model.missing("llm_as_a_judge") == 1
    assert model.title == "Teacher"


def test_rows_are_values() -> None:
    with pytest.raises(ValidationError):
        row().answer = "other"
    with pytest.raises(ValidationError):
        row(surprise=1)
