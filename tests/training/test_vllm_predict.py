import pytest
from training import fake_vllm

from distil_dagster.training.job import PredictJob
from distil_dagster.training.predict import predict
from distil_dagster.training.rows import write_rows


@pytest.fixture
def job(student, tuned, rows, tmp_path):
    write_rows(tmp_path / "rows.jsonl", [row.model_copy(update={"completion": ()}) for row in rows])
    return PredictJob(
        model=student, adapter=tuned, rows=tmp_path / "rows.jsonl", output=tmp_path / "written.jsonl", max_new_tokens=6
    )


@pytest.fixture
def by_vllm(monkeypatch):
    """A machine with a GPU and vllm; what loads a student by transformers is an error there."""

    def never(*_):
        raise AssertionError("loaded by transformers")

    fake_vllm.install(monkeypatch)
    monkeypatch.setattr("distil_dagster.training.predict.has_gpu", lambda: True)
    monkeypatch.setattr("distil_dagster.training.predict.load_answering", never)


@pytest.mark.parametrize("max_new_tokens", [6, 1])
def test_vllm_gives_the_answers_that_transformers_gives(job, max_new_tokens, request):
    job = job.model_copy(update={"max_new_tokens": max_new_tokens})
    expected = predict(job)
    request.getfixturevalue("by_vllm")
    assert predict(job) == expected
    assert len({answer.text for answer in expected}) > 1


def test_the_merged_student_is_left_nowhere(job, by_vllm):
    predict(job)
    assert {path.name for path in job.output.parent.iterdir()} == {"rows.jsonl", "written.jsonl"}


def test_no_row_loads_no_model(job, by_vllm):
    write_rows(job.rows, [])
    assert predict(job) == []


def test_without_a_gpu_vllm_is_not_asked(job, monkeypatch):
    expected = predict(job)
    fake_vllm.install(monkeypatch)
    monkeypatch.setattr(fake_vllm.LLM, "__init__", lambda *_, **__: pytest.fail("asked"))
    assert predict(job) == expected
