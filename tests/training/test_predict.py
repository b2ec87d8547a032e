import pytest

from distil_dagster.errors import TrainingError
from distil_dagster.training.formatting import load_chat_format
from distil_dagster.training.job import PredictJob
from distil_dagster.training.predict import batches_by_length, predict
from distil_dagster.training.rows import ChatRow, Written, read_rows, write_rows


@pytest.fixture
def job(student, tuned, rows, tmp_path):
    write_rows(tmp_path / "rows.jsonl", [row.model_copy(update={"completion": ()}) for row in rows])
    return PredictJob(
        model=student, adapter=tuned, rows=tmp_path / "rows.jsonl", output=tmp_path / "written.jsonl", max_new_tokens=6
    )


def changed(job, **changes):
    return job.model_copy(update=changes)


def test_a_row_is_answered_the_same_alone_and_in_a_batch(job):
    together = predict(changed(job, batch_size=7))
    assert together == predict(changed(job, batch_size=1)) == predict(job)
    assert len({answer.text for answer in together}) > 1


def test_answers_are_written_in_the_order_of_the_rows(job, rows):
    written = predict(changed(job, batch_size=5))
    assert read_rows(job.output, Written) == written
    assert [answer.id for answer in written] == [row.id for row in rows]


def test_an_answer_equals_greedy_decoding_token_by_token(job, student, rows):
    import torch

    from distil_dagster.training.models import load_answering

    chat, model = load_chat_format(student), load_answering(student, job.adapter)
    for row, answer in zip(rows[:6], predict(job)[:6], strict=True):
        ids = chat.prompt_ids(row)
        written = []
        with torch.inference_mode():
            while len(written) < job.max_new_tokens and chat.end_of_turn_id not in written:
                written.append(int(model(input_ids=torch.tensor([ids + written])).logits[0, -1].argmax()))
        stopped = written[-1] == chat.end_of_turn_id
        assert answer.finish_reason == ("stop" if stopped else "length")
        assert answer.text == chat.decode(written[:-1] if stopped else written)


def test_an_answer_that_was_cut_says_so_and_one_that_was_not_too(job):
    assert {answer.finish_reason for answer in predict(changed(job, max_new_tokens=1))} == {"length"}
    assert {answer.finish_reason for answer in predict(job)} == {"stop"}


def test_the_adapter_changes_the_answers(job):
    assert predict(job) != predict(changed(job, adapter=None))


def test_a_single_row_and_no_row_are_answered_too(job, rows):
    write_rows(job.rows, rows[:1])
    assert len(predict(job)) == 1
    write_rows(job.rows, [])
    assert predict(job) == []


def test_rows_without_a_shared_beginning_are_answered(job):
    prompts = [
        ({"role": "user", "content": "moo"},),
        ({"role": "system", "content": "x"}, {"role": "user", "content": "y"}),
    ]
    write_rows(job.rows, [ChatRow(id=str(at), prompt=prompt) for at, prompt in enumerate(prompts)])
    assert predict(job) == predict(changed(job, batch_size=1))


def test_progress_is_logged(job, rows, caplog):
    with caplog.at_level("INFO", logger="distil_dagster"):
        predict(job)
    assert f"predict: {len(rows)}/{len(rows)} rows" in caplog.text


def test_the_longest_rows_come_first():
    assert list(batches_by_length([[1], [1, 2, 3], [1, 2], [1]], 2)) == [[1, 2], [0, 3]]


def test_a_folder_that_is_no_adapter_is_named(job, tmp_path):
    with pytest.raises(TrainingError, match="no adapter: it has no adapter_config"):
        predict(changed(job, adapter=tmp_path))
