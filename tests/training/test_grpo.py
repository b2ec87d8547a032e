import json

import pytest
from safetensors.torch import load_file

from distil_dagster.config.pipeline import PipelineConfig
from distil_dagster.config.sections import Base
from distil_dagster.data.job import JobDescription
from distil_dagster.errors import ProviderError, TrainingError
from distil_dagster.evaluation.judging import Judged, Unread
from distil_dagster.training.checkpoints import own_checkpoints
from distil_dagster.training.curve import FILE_NAME, CurvePoint
from distil_dagster.training.failures import memory_advice
from distil_dagster.training.grpo import GrpoSummary, reinforce, steps_in
from distil_dagster.training.job import GrpoJob, read_job, write_job
from distil_dagster.training.models import load_merged
from distil_dagster.training.rows import RewardRow, read_rows, write_rows
from distil_dagster.training.sft import SUMMARY_FILE
from distil_dagster.training.sft import train as fine_tune

ANIMALS = {"cat": "It meows.", "dog": "It barks.", "cow": "It moos."}


class FakeJudge:
    """Judges by a rule; `broken_off_at` ends the training as a provider's failure would."""

    model = "a-judge"

    def __init__(self, rule, broken_off_at: int | None = None) -> None:
        self.rule = rule
        self.broken_off_at = broken_off_at
        self.calls = 0

    def judge(self, cases, phase):
        self.calls += 1
        if self.calls == self.broken_off_at:
            raise ProviderError("the judge does not answer")
        return [self.rule(case) for case in cases]


def learn(job, judge, recorder):
    """Train under a judge; another one, who knows what is right, measures."""
    return reinforce(job, judge, FakeJudge(right), recorder)


def right(case):
    return Judged(case.prediction == case.reference, "so")


def short(case):
    return Judged(len(case.prediction) < 12, "so")


def unread(case):
    return Unread("timeout")


def reward_rows(rows) -> list[RewardRow]:
    return [
        RewardRow(
            **row.model_dump(), question=row.prompt[-1]["content"], reference=row.completion[0]["content"], context=None
        )
        for row in rows
    ]


@pytest.fixture
def config(tuning) -> PipelineConfig:
    changed = {
        "learning_rate": 5e-3,
        "rlvr_dataset_size": 0.5,
        "rlvr_num_generations": 4,
        "rlvr_per_device_batch_size": 8,
        "rlvr_num_train_epochs": 1,
    }
    return PipelineConfig(base=Base(task="question-answering"), tuning=tuning.model_copy(update=changed))


@pytest.fixture
def grpo_job(tmp_path, student, tuned, rows, config) -> GrpoJob:
    write_rows(tmp_path / "rows.jsonl", reward_rows(rows))
    write_rows(tmp_path / "held_out.jsonl", reward_rows(rows[:6]))
    return GrpoJob(
        model=student,
        adapter=tuned,
        config=config,
        description=JobDescription(
            task_description="Say which animal speaks.", input_description="A cry.", classes_description=ANIMALS
        ),
        journal=tmp_path,
        seed=7,
        rows=tmp_path / "rows.jsonl",
        held_out=tmp_path / "held_out.jsonl",
        max_new_tokens=8,
        output=tmp_path / "adapter",
        checkpoints=tmp_path / "checkpoints",
    )


def with_tuning(job: GrpoJob, **changes) -> GrpoJob:
    config = job.config.model_copy(update={"tuning": job.tuning.model_copy(update=changes)})
    return job.model_copy(update={"config": config})


def weights(folder):
    return load_file(folder / "adapter_model.safetensors")


def equal(one, other) -> bool:
    return one.keys() == other.keys() and all((one[name] == other[name]).all() for name in one)


def points(job) -> list[CurvePoint]:
    return read_rows(job.output / FILE_NAME, CurvePoint)


def curve(job):
    return [
        (point.step, point.reward, point.loss, point.completion_length)
        for point in points(job)
        if point.held_out is None
    ]


def measured(job) -> dict[int, float]:
    return {point.step: point.held_out for point in points(job) if point.held_out is not None}


def test_the_job_comes_back_from_its_file(grpo_job, tmp_path):
    write_job(tmp_path / "job.json", grpo_job)
    assert read_job(tmp_path / "job.json") == grpo_job


def test_the_student_learns_what_the_judge_rewards(grpo_job, student, recorder):
    settings = {"learning_rate": 1e-2, "rlvr_per_device_batch_size": 16, "rlvr_num_generations": 8}
    job = with_tuning(grpo_job, rlvr_num_train_epochs=4, **settings)
    job = job.model_copy(update={"adapter": untrained(job, student)})
    learn(job, FakeJudge(lambda case: Judged("e" in case.prediction, "so")), recorder)
    rewards = [reward for _, reward, _, _ in curve(job)]
    assert len(rewards) == 48
    assert sum(rewards[-8:]) / 8 > sum(rewards[:8]) / 8 + 0.2


def untrained(job, student):
    """An adapter that changes nothing yet."""
    from peft import LoraConfig, get_peft_model

    folder = job.output.parent / "untrained"
    settings = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
    get_peft_model(load_merged(student, None), settings).save_pretrained(folder)
    return folder


def test_the_adapter_goes_on_from_the_one_of_sft_and_the_output_is_complete(grpo_job, tuned, recorder):
    summary = learn(grpo_job, FakeJudge(right), recorder)
    before, after = weights(tuned), weights(grpo_job.output)
    assert before.keys() == after.keys()
    assert not equal(before, after)
    names = {path.name for path in grpo_job.output.iterdir()}
    assert {"adapter_config.json", "tokenizer.json", FILE_NAME, SUMMARY_FILE} <= names
    assert GrpoSummary.model_validate_json((grpo_job.output / SUMMARY_FILE).read_text()) == summary
    assert (summary.rows, summary.steps, summary.judgements, summary.failed_judgements) == (24, 12, 96, 0)
    load_merged(grpo_job.model, grpo_job.output)


def test_what_is_measured_is_reported_while_training_runs(grpo_job, recorder, caplog):
    with caplog.at_level("INFO", logger="distil_dagster"):
        learn(grpo_job, FakeJudge(short), recorder)
    steps = [values for values in recorder.values if "held_out" not in values]
    assert [values["step"] for values in steps] == list(range(1, 13))
    assert all({"loss", "reward", "completion_length", "learning_rate"} <= values.keys() for values in steps)
    assert [values["step"] for values in recorder.values if "held_out" in values] == [0, 3, 6, 9, 12]
    assert "rlvr: step 1/12, loss " in caplog.text
    assert ", reward " in caplog.text
    assert " tokens a completion" in caplog.text
    assert "rlvr: done, 12 steps in " in caplog.text
    assert " of 96 completions judged good, 0 not judged" in caplog.text


def test_equal_seeds_give_equal_adapters_and_curves(grpo_job, recorder, tmp_path):
    again = grpo_job.model_copy(update={"output": tmp_path / "again", "checkpoints": tmp_path / "others"})
    other = again.model_copy(update={"output": tmp_path / "other", "seed": 8})
    for job in (grpo_job, again, other):
        learn(job, FakeJudge(short), recorder)
    assert equal(weights(grpo_job.output), weights(again.output))
    assert not equal(weights(grpo_job.output), weights(other.output))
    assert curve(grpo_job) == curve(again)


def test_a_training_that_broke_off_goes_on_and_ends_as_if_it_had_not(grpo_job, recorder, tmp_path):
    whole = grpo_job.model_copy(update={"output": tmp_path / "whole", "checkpoints": tmp_path / "others"})
    learn(whole, FakeJudge(short), recorder)
    with pytest.raises(ProviderError):
        learn(grpo_job, FakeJudge(short, broken_off_at=7), recorder)
    assert not grpo_job.output.exists()
    summary = learn(grpo_job, FakeJudge(short), recorder)
    assert (summary.resumed_at, summary.judgements) == (6, 48)
    assert equal(weights(grpo_job.output), weights(whole.output))
    assert curve(grpo_job) == curve(whole)
    assert measured(grpo_job) == measured(whole)


def test_a_failed_judgement_gives_no_signal(grpo_job, tuned, recorder):
    """Where all that can be read is good, failures taken for zeros would move the weights."""
    judgements = iter(range(10_000))
    judge = FakeJudge(lambda case: unread(case) if next(judgements) % 3 == 0 else Judged(True, "so"))
    summary = learn(grpo_job, judge, recorder)
    assert summary.failed_judgements == 32
    assert equal(weights(tuned), weights(grpo_job.output))
    assert {reward for _, reward, _, _ in curve(grpo_job)} == {1.0}


def test_a_step_without_any_judgement_has_no_reward_in_the_curve(grpo_job, recorder):
    batches = iter([True] + [False] * 11)
    judge = FakeJudge(right)
    judge.judge = lambda cases, phase: [unread(case) for case in cases] if next(batches) else list(map(right, cases))
    learn(grpo_job, judge, recorder)
    assert [reward is None for _, reward, _, _ in curve(grpo_job)] == [True] + [False] * 11
    first = next(values for values in recorder.values if values["step"] == 1)
    assert "loss" in first
    assert "reward" not in first


def test_too_many_failures_stop_the_training_and_a_new_one_starts_afresh(grpo_job, recorder):
    with pytest.raises(TrainingError, match=r"24 of 24 judgements failed.*rlvr_llm_as_a_judge_model_name"):
        learn(grpo_job, FakeJudge(unread), recorder)
    assert not grpo_job.output.exists()
    assert learn(grpo_job, FakeJudge(right), recorder).resumed_at == 0


def test_without_lora_all_weights_are_trained(grpo_job, sft_job, recorder):
    settings = {"use_lora": False, "learning_rate": 1e-3}
    full = sft_job.model_copy(update={"tuning": sft_job.tuning.model_copy(update=settings)})
    fine_tune(full, recorder)
    job = with_tuning(grpo_job, **settings).model_copy(
        update={"model": full.output, "adapter": None, "output": grpo_job.output.parent / "reinforced"}
    )
    learn(job, FakeJudge(short), recorder)
    before, after = (load_file(folder / "model.safetensors") for folder in (full.output, job.output))
    assert all(before[name].dtype == after[name].dtype for name in before)
    assert not equal(before, after)


def test_too_few_rows_for_one_step_are_an_error_that_says_what_to_change(grpo_job, recorder, rows):
    write_rows(grpo_job.rows, reward_rows(rows[:1]))
    with pytest.raises(TrainingError, match=r"rows\.jsonl: 1 rows are too few.*tuning\.rlvr_dataset_size"):
        learn(grpo_job, FakeJudge(right), recorder)


def test_another_adapter_is_another_job(grpo_job, student):
    assert own_checkpoints(grpo_job) != own_checkpoints(grpo_job.model_copy(update={"adapter": student}))


def test_memory_that_runs_out_has_advice_of_its_own(grpo_job):
    assert "halve tuning.rlvr_per_device_batch_size (now 8)" in memory_advice(grpo_job)
    assert "batch_size" not in memory_advice(with_tuning(grpo_job, rlvr_per_device_batch_size=4))


def test_the_job_file_holds_no_secret(grpo_job, tmp_path, monkeypatch):
    monkeypatch.setenv("A_KEY", "hidden")
    route = {"*": {"model": "openai/{name}", "api_key_env": "A_KEY"}}
    config = PipelineConfig.model_validate(json.loads(grpo_job.config.model_dump_json()) | {"data": {"models": route}})
    write_job(tmp_path / "job.json", grpo_job.model_copy(update={"config": config}))
    assert "hidden" not in (tmp_path / "job.json").read_text()
    assert read_job(tmp_path / "job.json").config == config


@pytest.mark.parametrize(
    ("rows_given", "batch", "generations", "accumulated", "processes", "epochs", "steps"),
    [
        (24, 8, 4, 1, 1, 1, 12),
        (25, 8, 4, 1, 1, 2, 24),
        (24, 8, 4, 2, 1, 1, 6),
        (24, 8, 4, 1, 2, 1, 6),
        (1, 8, 4, 1, 1, 3, 0),
    ],
)
def test_steps_are_counted_as_the_trainer_counts_them(
    tuning, rows_given, batch, generations, accumulated, processes, epochs, steps
):
    changed = {
        "rlvr_per_device_batch_size": batch,
        "rlvr_num_generations": generations,
        "gradient_accumulation_steps": accumulated,
        "rlvr_num_train_epochs": epochs,
    }
    assert steps_in(tuning.model_copy(update=changed), rows_given, processes) == steps


@pytest.mark.parametrize(("accumulated", "epochs", "given", "steps"), [(2, 1, 24, 6), (1, 2, 5, 4)])
def test_the_trainer_makes_as_many_steps_as_are_counted(grpo_job, recorder, rows, accumulated, epochs, given, steps):
    write_rows(grpo_job.rows, reward_rows(rows[:given]))
    job = with_tuning(grpo_job, gradient_accumulation_steps=accumulated, rlvr_num_train_epochs=epochs)
    assert learn(job, FakeJudge(right), recorder).steps == steps == steps_in(job.tuning, given, 1)


def test_held_out_rows_are_measured_from_before_the_first_step_to_after_the_last(grpo_job, student, recorder, caplog):
    settings = {"learning_rate": 1e-2, "rlvr_per_device_batch_size": 16, "rlvr_num_generations": 8}
    job = with_tuning(grpo_job, rlvr_num_train_epochs=4, **settings)
    job = job.model_copy(update={"adapter": untrained(job, student)})
    liked = FakeJudge(lambda case: Judged("e" in case.prediction, "so"))
    with caplog.at_level("INFO", logger="distil_dagster"):
        summary = reinforce(job, liked, liked, recorder)
    assert list(measured(job)) == [0, 12, 24, 36, 48]
    assert measured(job)[48] > measured(job)[0]
    assert summary.held_out_rows == 6
    assert "rlvr: step 0/48, held-out LLM-as-a-judge " in caplog.text


def test_without_held_out_rows_nothing_is_measured(grpo_job, recorder):
    write_rows(grpo_job.held_out, [])
    learn(grpo_job, FakeJudge(right), recorder)
    assert measured(grpo_job) == {}
    assert len(curve(grpo_job)) == 12


def test_a_class_is_checked_beside_the_judge_and_how_often_they_agree_is_in_the_curve(grpo_job, recorder):
    config = grpo_job.config.model_copy(update={"base": Base(task="classification")})
    job = grpo_job.model_copy(update={"config": config})
    summary = learn(job, FakeJudge(lambda case: Judged(True, "so")), recorder)
    agreements = [point.agreement for point in points(job) if point.held_out is None]
    # The judge finds everything good: it is confirmed as often as the student is right, which is half of the reward.
    assert [reward for _, reward, _, _ in curve(job)] == pytest.approx([0.5 + share / 2 for share in agreements])
    assert summary.agreement == pytest.approx(sum(agreements) / 12)
    assert 0 < summary.agreement < 1


def failing(rows: set[str], otherwise):
    """A judge that never has a verdict on some questions."""
    return lambda case: unread(case) if case.question in rows else otherwise(case)


def test_judgements_that_fail_leave_the_training_on_the_other_rows_as_it_is(grpo_job, recorder, rows, tmp_path):
    """A fifth of the rows never has a verdict, or always the same one: neither teaches, and the rest is learned alike.

    A group in which all are good has no advantage to learn from, so a run with it in place of the failures is a clean
    run on the other rows alone.
    """
    out = {row.question for row in reward_rows(rows)[:12:5]}
    clean = grpo_job.model_copy(update={"output": tmp_path / "clean", "checkpoints": tmp_path / "others"})
    learn(grpo_job, FakeJudge(failing(out, short)), recorder)
    learn(clean, FakeJudge(lambda case: Judged(True, "so") if case.question in out else short(case)), recorder)
    assert equal(weights(grpo_job.output), weights(clean.output))
    assert measured(grpo_job) == measured(clean)
    assert [(step, loss) for step, _, loss, _ in curve(grpo_job)] == [(step, loss) for step, _, loss, _ in curve(clean)]


def test_what_prompts_begin_with_is_read_once_and_nothing_else_changes(grpo_job, recorder, tmp_path, monkeypatch):
    from trl import GRPOTrainer

    from distil_dagster.training import grpo

    learn(grpo_job, FakeJudge(short), recorder)
    plain = grpo_job.model_copy(update={"output": tmp_path / "plain", "checkpoints": tmp_path / "others"})
    assert grpo._trainer_class(load_merged(grpo_job.model, None), grpo_job.tuning) is not GRPOTrainer
    monkeypatch.setattr(grpo, "_trainer_class", lambda model, tuning: GRPOTrainer)
    learn(plain, FakeJudge(short), recorder)
    for ours, theirs in zip(points(grpo_job), points(plain), strict=True):
        assert (ours.step, ours.reward, ours.completion_length) == (
            theirs.step,
            theirs.reward,
            theirs.completion_length,
        )
        assert ours.held_out == theirs.held_out
        if ours.loss is not None:
            assert ours.loss == pytest.approx(theirs.loss, rel=1e-3, abs=1e-5)
            assert ours.grad_norm == pytest.approx(theirs.grad_norm, rel=1e-3, abs=1e-5)
    expected = weights(plain.output)
    assert all((weight - expected[name]).abs().max() < 1e-3 for name, weight in weights(grpo_job.output).items())


@pytest.mark.parametrize("settings", [{"memory_optimized_training": True}, {}])
def test_layers_that_are_computed_anew_and_those_with_windows_read_whole_prompts(grpo_job, student, settings):
    from trl import GRPOTrainer

    from distil_dagster.training.grpo import _trainer_class

    model = load_merged(student, None)
    if not settings:
        model.config.model_type = "gemma3_text"
    assert _trainer_class(model, grpo_job.tuning.model_copy(update=settings)) is GRPOTrainer
