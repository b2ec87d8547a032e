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
    held_out_examples,
    prepare_prediction,
    prepare_rlvr,
    prepare_sft,
    rows_by_example,
    split_for_rlvr,
    student_shots,
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


@pytest.mark.parametrize("seed", [5, None])
@pytest.mark.parametrize(("count", "share", "apart"), [(2, 0.001, 1), (2, 0.999, 1), (10, 0.5, 5), (10, 0.999, 9)])
def test_both_parts_of_a_split_have_an_example_and_none_is_in_both(opened, tmp_path, count, share, apart, seed):
    base = opened.config.base.model_copy(update={"random_seed": seed})
    opened = replace(opened, config=opened.config.model_copy(update={"base": base}))
    job = prepare_sft(
        with_tuning(opened, train_eval_split=share), EXAMPLES[:count], Weights(tmp_path, "here"), tmp_path
    )
    train, held_out = ({row.id for row in read_rows(path, ChatRow)} for path in (job.train_rows, job.eval_rows))
    assert (len(train), len(held_out)) == (count - apart, apart)
    assert not train & held_out


@pytest.mark.parametrize("seed", [5, None])
def test_rlvr_is_measured_on_what_sft_held_back(opened, tmp_path, seed):
    base = opened.config.base.model_copy(update={"random_seed": seed})
    opened = replace(opened, config=opened.config.model_copy(update={"base": base}))
    sft = prepare_sft(opened, EXAMPLES, Weights(tmp_path, "here"), tmp_path / "sft")
    held_out = held_out_examples(opened, EXAMPLES)
    assert [row.prompt[-1]["content"] for row in read_rows(sft.eval_rows, ChatRow)] == [
        row.question for row in held_out
    ]
    student = tmp_path / "student"
    student.mkdir()
    rlvr = prepare_rlvr(opened, [example("another", "bills")], held_out, (student, None), tmp_path, tmp_path / "rlvr")
    assert [row.question for row in read_rows(rlvr.held_out, RewardRow)] == [row.question for row in held_out]
    assert [row.question for row in read_rows(rlvr.rows, RewardRow)] == ["another"]


def test_of_very_many_held_out_rows_a_part_is_measured(opened, tmp_path):
    held_out = [example(f"question {number}", "bills") for number in range(300)]
    job = prepare_rlvr(opened, EXAMPLES, held_out, (tmp_path, None), tmp_path, tmp_path / "work")
    assert len(read_rows(job.held_out, RewardRow)) == 200


def test_equal_work_has_one_folder_and_any_change_another(opened, tmp_path):
    for name in ("student", "same", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_text("other" if name == "other" else "alike")
    weights = Weights(tmp_path / "student", "here")

    def folder(job: Job, examples=EXAMPLES, weights=weights) -> Path:
        return prepare_sft(job, examples, weights, tmp_path / "work").output

    again = folder(opened)
    assert folder(opened) == again
    assert folder(with_tuning(opened, lora_r=8)) != again
    assert folder(opened, EXAMPLES[1:]) != again
    assert folder(opened, weights=Weights(tmp_path / "other", "there")) != again
    # As on another machine.
    assert folder(opened, weights=Weights(tmp_path / "same", "there")) == again


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


def test_scripts_that_take_more_tokens_a_character_have_more_room():
    assert answer_tokens([example("q", "語" * 40)]) > answer_tokens([example("q", "a" * 40)]) + 30


def test_there_is_room_for_the_longest_call_of_a_conversation_with_what_its_family_writes_around_it(boat_hire):
    row = boat_hire(2)
    longest = max(len(message.answer) for message in row.messages if message.role == "assistant")
    assert answer_tokens([row]) >= longest // 2 + 50
    assert answer_tokens([row.model_copy(update={"messages": row.messages[:2]})]) < answer_tokens([row])


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
    job = prepare_rlvr(opened, EXAMPLES, EXAMPLES[:1], (student, None), tmp_path / "journal", tmp_path / "work")
    first = read_rows(job.rows, RewardRow)[0]
    assert (first.question, first.reference, first.context) == ("question 0", "bills", None)
    assert [message["role"] for message in first.prompt] == ["system", "user"]
    assert (job.config, job.description, job.seed) == (opened.config, opened.description, 5)
    assert job.max_new_tokens == answer_tokens(EXAMPLES)
    assert [row.question for row in read_rows(job.held_out, RewardRow)] == ["question 0"]


def test_another_adapter_or_other_judging_instructions_are_another_reinforcement(opened, tmp_path):
    student, adapter = tmp_path / "student", tmp_path / "adapter"
    for folder in (student, adapter):
        folder.mkdir()
        (folder / "adapter_config.json").write_text("{}")
        (folder / "adapter_model.safetensors").write_text("weights")

    def output(of: Job) -> Path:
        return prepare_rlvr(of, EXAMPLES, [], (student, adapter), tmp_path, tmp_path / "work").output

    first = output(opened)
    assert output(opened) == first
    strict = opened.description.model_copy(update={"llm_as_a_judge_instructions": "Be strict."})
    assert output(replace(opened, description=strict)) != first
    (adapter / "adapter_config.json").write_text('{"base_model_name_or_path": "another machine\'s"}')
    assert output(opened) == first
    (adapter / "adapter_model.safetensors").write_text("changed")
    assert output(opened) != first


@pytest.fixture
def boats(boat_job, boat_task, tmp_path) -> Job:
    config = PipelineConfig.model_validate(
        {"base": {"task": boat_task.name, "student_model_name": "Qwen3-0.6B", "random_seed": 5}}
    )
    return Job("boats", config, JobFolder(tmp_path), boat_job, boat_task)


def test_every_call_of_a_conversation_is_a_row_with_the_tools(boat_task, boat_job, boat_hire):
    first, second = rows_by_example(boat_task, [boat_hire(2), boat_hire(3)])
    assert [row.id for row in (*first, *second)] == ["1.1", "1.2", "2.1", "2.2"]
    assert [message["role"] for message in first[1].prompt] == ["system", "user", "assistant", "tool", "user"]
    assert first[1].completion[0]["tool_calls"][0]["function"]["name"] == "hire_boat"
    assert all(row.tools == boat_job.tools for row in (*first, *second))


def test_a_text_task_has_no_tools_and_one_row_an_example(task):
    ((row,),) = rows_by_example(task, EXAMPLES[:1])
    assert (row.id, row.tools) == ("1", None)


def test_a_row_to_be_asked_is_not_expanded_again(boat_task, boat_hire):
    turns = boat_task.turns(boat_hire(2))
    assert [len(row.prompt) for row in chat_rows(boat_task, turns)] == [2, 5]


@pytest.mark.parametrize("seed", range(4))
def test_no_conversation_is_cut_between_training_and_its_evaluation(boats, boat_hire, tmp_path, seed):
    base = boats.config.base.model_copy(update={"random_seed": seed})
    job = prepare_sft(
        replace(boats, config=boats.config.model_copy(update={"base": base})),
        [boat_hire(seats) for seats in range(2, 8)],
        Weights(tmp_path, "here"),
        tmp_path / "work",
    )
    train, held_out = (
        {row.id.split(".")[0] for row in read_rows(path, ChatRow)} for path in (job.train_rows, job.eval_rows)
    )
    assert (len(train), len(held_out)) == (5, 1)
    assert not train & held_out


def test_a_row_of_rlvr_is_one_call_with_the_conversation_before_it(boats, boat_hire, tmp_path):
    student = tmp_path / "student"
    student.mkdir()
    job = prepare_rlvr(boats, [boat_hire(2)], [boat_hire(3)], (student, None), tmp_path, tmp_path / "work")
    first, second = read_rows(job.rows, RewardRow)
    assert first.reference == '{"name": "find_boat", "parameters": {"seats": 2}}'
    assert "We are 2 and want to row." in second.question
    assert "Fine, for three hours." in second.question
    assert second.tools == boats.description.tools


def test_the_student_is_shown_as_many_training_seeds_as_the_setting_says(opened):
    assert student_shots(opened, EXAMPLES) == []
    shots = student_shots(with_tuning(opened, num_few_shot_examples_student=3), EXAMPLES)
    assert len(shots) == 3
    assert all(shot in EXAMPLES for shot in shots)


def test_the_examples_stand_before_the_question_in_every_row(opened, tmp_path):
    (tmp_path / "model").mkdir()
    shots = [example("my invoice", "bills"), example("my courier", "parcels")]
    sft = prepare_sft(opened, EXAMPLES, Weights(tmp_path, "here"), tmp_path / "sft", shots)
    rlvr = prepare_rlvr(opened, EXAMPLES, [], (tmp_path / "model", None), tmp_path, tmp_path / "rlvr", shots)
    asked = prepare_prediction(opened, EXAMPLES, tmp_path / "model", None, tmp_path / "asked", shots)
    rows = [*read_rows(sft.train_rows, ChatRow), *read_rows(rlvr.rows, RewardRow), *read_rows(asked.rows, ChatRow)]
    shown = [{"role": "user", "content": "my invoice"}, {"role": "assistant", "content": "bills"}]
    assert all(list(row.prompt[1:3]) == shown for row in rows)
    assert all(len(row.prompt) == 6 and row.prompt[-1]["content"].startswith("question") for row in rows)


def test_other_examples_are_another_training(opened, tmp_path):
    outputs = {
        prepare_sft(opened, EXAMPLES, Weights(tmp_path, "here"), tmp_path / "work", shots).output
        for shots in ([], [example("my invoice", "bills")], [example("my courier", "parcels")])
    }
    assert len(outputs) == 3
