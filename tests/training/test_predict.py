import shutil
from random import Random

import pytest
from training.small_models import small_model

from distil_dagster.errors import TrainingError
from distil_dagster.training.formatting import load_chat_format
from distil_dagster.training.job import PredictJob
from distil_dagster.training.predict import Generator, batches_by_length, predict
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
    assert list(batches_by_length([[1], [1, 2, 3], [1, 2], [1]], 2, 4)) == [[1, 2], [0, 3]]


def test_a_batch_has_no_more_rows_than_fit_into_its_places():
    prompts = [[0] * 10] * 7 + [[0] * 6] * 4
    sizes = [len(batch) for batch in batches_by_length(prompts, 64, 2, places=40)]
    assert sizes == [3, 3, 3, 2]
    assert [len(batch) for batch in batches_by_length([[0] * 90] * 2, 64, 2, places=40)] == [1, 1]


def test_no_row_is_filled_up_to_more_than_twice_its_length():
    prompts = [[0] * length for length in (98, 60, 49, 40, 10)]
    assert list(batches_by_length(prompts, 64, 1)) == [[0, 1, 2], [3], [4]]


@pytest.fixture
def unlike(job, student, tmp_path):
    """Rows of 10 to 400 tokens; a random student stops after some, and after others goes on as long as it may."""
    from transformers import GenerationConfig

    chat, folder = load_chat_format(student), tmp_path / "soon-ending"
    shutil.copytree(student, folder)
    GenerationConfig(eos_token_id=[*chat.encode("g"), *chat.encode("\n")]).save_pretrained(folder)
    texts = [
        "moo",
        "woof " * 150,
        "x",
        "meow meow",
        "one two three " * 40,
        "woof woof",
        "moo moo moo",
        "a b c d e " * 9,
    ]
    rows = [ChatRow(id=str(at), prompt=({"role": "user", "content": text},)) for at, text in enumerate(texts * 2)]
    write_rows(job.rows, rows)
    return changed(job, model=folder, adapter=None, max_new_tokens=40)


def test_rows_of_very_different_lengths_and_one_that_never_ends_are_answered_as_alone(unlike, monkeypatch):
    # Without limits of its own, everything is one batch.
    monkeypatch.setattr(
        "distil_dagster.training.predict.batches_by_length", lambda prompts, *_: iter([list(range(len(prompts)))])
    )
    together = predict(unlike)
    monkeypatch.undo()
    assert together == predict(changed(unlike, batch_size=1)) == predict(unlike)
    assert {answer.finish_reason for answer in together} == {"stop", "length"}
    assert len({len(answer.text) for answer in together}) > 3


@pytest.mark.parametrize("model_type", ["llama", "gemma3_text", "lfm2"])
def test_every_kind_of_cache_gives_what_a_plain_loop_gives(student, model_type):
    """Sliding windows and convolutions keep other states than keys and values; rows leave the batch there too."""
    import torch

    model = small_model(student, model_type).eval()
    random = Random(3)
    prompts = [[5, 6, 7, *random.choices(range(3, 300), k=count)] for count in (30, 25, 18, 7, 2, 1)]
    written = [
        model.generate(
            input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), do_sample=False, max_new_tokens=24
        )[0, len(ids) :].tolist()
        for ids in prompts
    ]
    stops = frozenset({written[0][2], written[1][5], written[3][1]})
    ends = [next((at + 1 for at, token in enumerate(ids) if token in stops), 24) for ids in written]
    generator = Generator(model, 0, stops, prompts, 24)
    assert generator.answer(range(6)) == [ids[:end] for ids, end in zip(written, ends, strict=True)]
    assert len(set(ends)) > 2


def test_a_batch_that_does_not_fit_into_memory_is_halved(job, monkeypatch):
    import torch

    expected, sizes = predict(job), []
    whole = Generator._answer_together

    def cramped(self, batch):
        sizes.append(len(batch))
        if len(batch) > 5:
            raise torch.OutOfMemoryError("out of memory")
        return whole(self, batch)

    monkeypatch.setattr(Generator, "_answer_together", cramped)
    assert predict(job) == expected
    assert sizes[:4] == [24, 12, 6, 3]


def test_a_row_that_does_not_fit_into_memory_alone_is_an_error(job, monkeypatch):
    import torch

    def cramped(_self, _batch):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(Generator, "_answer_together", cramped)
    with pytest.raises(torch.OutOfMemoryError):
        predict(job)


def test_a_folder_that_is_no_adapter_is_named(job, tmp_path):
    with pytest.raises(TrainingError, match="has no adapter_config"):
        predict(changed(job, adapter=tmp_path))
