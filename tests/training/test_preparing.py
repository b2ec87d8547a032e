from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.config.pipeline import PipelineConfig
from distil_dagster.data.examples import Example
from distil_dagster.data.folder import JobFolder
from distil_dagster.data.messages import Message
from distil_dagster.job import Job
from distil_dagster.training.preparing import (
    answer_tokens,
    chat_rows,
    prepare_prediction,
    prepare_rlvr,
    prepare_sft,
    split_for_rlvr,
    split_rows,
)
from distil_dagster.training.rows import ChatRow, RewardRow, read_rows
from distil_dagster.training.weights import Weights


def example(question: str, answer: str) -> Example:
    return Example(messages=(Message(role="user", content=question), Message(role="assistant", content=answer)))


EXAMPLES = [example(f"question {number}", "bills") for number in range(10)]


@pytest.fixture
def opened(job, task, tmp_path) -> Job:
    config = PipelineConfig.model_validate({"base": {"task": "classification", "random_seed": 5}})
    return Job("letters", config, JobFolder(tmp_path), job, task)


def with_tuning(opened: Job, **settings) -> Job:
    tuning = opened.config.tuning.model_copy(update=settings)
    return replace(opened, config=opened.config.model_copy(update={"tuning": tuning}))


def test_rows_are_what_the_student_sees_and_writes(task):
    (row,) = chat_rows(task, EXAMPLES[:1])
    assert [message["role"] for message in row.prompt] == ["system", "user"]
    assert row.completion == ({"role": "assistant", "content": "bills"},)


def test_the_share_for_evaluation_is_split_off(opened, tmp_path):
    job = prepare_sft(with_tuning(opened, train_eval_split=0.3), EXAMPLES, Weights(tmp_path, "here"), tmp_path / "work")
    train, held_out = read_rows(job.train_rows, ChatRow), read_rows(job.eval_rows, ChatRow)
    assert (len(train), len(held_out)) == (7, 3)
    assert {row.id for row in train} | {row.id for row in held_out} == {str(number) for number in range(1, 11)}


@given(st.integers(2, 60), st.floats(0.001, 0.999), st.integers())
def test_both_parts_of_a_split_have_a_row_and_no_row_is_in_both(count, share, seed):
    rows = [ChatRow(id=str(number), prompt=({"role": "user"},)) for number in range(count)]
    train, held_out = split_rows(rows, share, seed)
    assert train
    assert held_out
    assert sorted(row.id for row in (*train, *held_out)) == sorted(row.id for row in rows)


def test_equal_work_has_one_folder_and_any_change_another(opened, tmp_path):
    weights = Weights(tmp_path, "here")

    def folder(job: Job, examples=EXAMPLES, weights=weights) -> Path:
        return prepare_sft(job, examples, weights, tmp_path / "work").output

    again = folder(opened)
    assert folder(opened) == again
    assert folder(with_tuning(opened, lora_r=8)) != again
    assert folder(opened, EXAMPLES[1:]) != again
    assert folder(opened, weights=Weights(tmp_path / "other", "there")) != again


def test_without_a_seed_training_draws_one(opened, tmp_path):
    base = opened.config.base.model_copy(update={"random_seed": None})
    unseeded = replace(opened, config=opened.config.model_copy(update={"base": base}))
    seeds = {prepare_sft(unseeded, EXAMPLES, Weights(tmp_path, "here"), tmp_path / str(n)).seed for n in range(3)}
    assert len(seeds) == 3


def test_predictions_are_asked_without_the_answers(opened, tmp_path):
    (tmp_path / "model").mkdir()
    job = prepare_prediction(opened, EXAMPLES, tmp_path / "model", None, tmp_path / "work")
    assert all(row.completion == () for row in read_rows(job.rows, ChatRow))
    assert job.max_new_tokens == answer_tokens(EXAMPLES)


def test_a_model_that_changed_is_asked_again(opened, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights").write_text("one")
    first = prepare_prediction(opened, EXAMPLES, model, None, tmp_path / "work").output
    (model / "weights").write_text("another")
    assert prepare_prediction(opened, EXAMPLES, model, None, tmp_path / "work").output != first


def test_room_for_answers_grows_with_the_longest_answer():
    assert answer_tokens([example("q", "a" * 100)]) - answer_tokens([example("q", "a" * 20)]) == 40


questions = st.lists(st.text(min_size=1, max_size=5), max_size=30).map(
    lambda texts: [
        example(text, "bills").model_copy(update={"source": f"line {number}"}) for number, text in enumerate(texts)
    ]
)
shares = st.floats(min_value=0, max_value=1)
seeds = st.none() | st.integers(min_value=0, max_value=2**32 - 1)


@given(questions, shares, seeds)
def test_what_rlvr_gets_sft_does_not_and_both_keep_their_order(examples, share, seed):
    sft, rlvr = split_for_rlvr(examples, share, seed)
    assert len(rlvr) == round(len(examples) * share)
    assert sorted([*sft, *rlvr], key=examples.index) == examples
    for part in (sft, rlvr):
        assert [row for row in examples if row in part] == part


@given(questions, shares, seeds)
def test_the_share_of_rlvr_is_the_same_each_time_even_without_a_seed(examples, share, seed):
    assert split_for_rlvr(examples, share, seed) == split_for_rlvr(list(examples), share, seed)


@given(questions, seeds)
def test_without_rlvr_everything_goes_to_sft_as_it_was(examples, seed):
    assert split_for_rlvr(examples, 0, seed) == (examples, [])


def test_another_seed_gives_rlvr_other_examples():
    examples = [example(f"question {number}", "bills") for number in range(100)]
    assert split_for_rlvr(examples, 0.5, 1) != split_for_rlvr(examples, 0.5, 2)


def test_a_row_of_rlvr_holds_what_the_judge_needs(opened, tmp_path):
    student = tmp_path / "student"
    student.mkdir()
    job = prepare_rlvr(opened, EXAMPLES, student, None, tmp_path / "journal", tmp_path / "work")
    first = read_rows(job.rows, RewardRow)[0]
    assert (first.question, first.reference, first.context) == ("question 0", "bills", None)
    assert [message["role"] for message in first.prompt] == ["system", "user"]
    assert (job.config, job.description, job.seed) == (opened.config, opened.description, 5)
    assert job.max_new_tokens == answer_tokens(EXAMPLES)


def test_another_adapter_or_other_judging_instructions_are_another_reinforcement(opened, tmp_path):
    student, adapter = tmp_path / "student", tmp_path / "adapter"
    for folder in (student, adapter):
        folder.mkdir()
        (folder / "adapter_config.json").write_text("{}")

    def output(of: Job) -> Path:
        return prepare_rlvr(of, EXAMPLES, student, adapter, tmp_path, tmp_path / "work").output

    first = output(opened)
    assert output(opened) == first
    strict = opened.description.model_copy(update={"llm_as_a_judge_instructions": "Be strict."})
    assert output(replace(opened, description=strict)) != first
    (adapter / "adapter_config.json").write_text('{"r": 8}')
    assert output(opened) != first
