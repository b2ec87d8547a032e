"""What the parameters of `tuning` change that say what is trained on, how much of it at once, and how often."""

import pytest
from small_runs import Runs
from small_trainings import Training, prepared_sft

from distil_dagster.training.rows import ChatRow, read_rows
from parameter_cases.registry import Cases

cases = Cases()


def _trained(runs: Runs, **settings: object) -> Training:
    return runs("letters", "tuned", tuning=settings).tuned


@cases("per_device_train_batch_size")
def a_step_has_so_many_examples(runs: Runs) -> None:
    for size in (2, 6):
        training = _trained(runs, per_device_train_batch_size=size)
        assert training.watched.rows_a_pass(is_training=True) == [size] * (12 // size)
        assert training.summary.steps == 12 // size


@cases("per_device_eval_batch_size")
def held_out_examples_are_measured_so_many_at_a_time(runs: Runs) -> None:
    for size, batches in ((1, [1, 1, 1]), (2, [2, 1])):
        training = _trained(runs, per_device_eval_batch_size=size)
        assert training.watched.rows_a_pass(is_training=False) == batches
        assert training.summary.steps == 3


@cases("num_train_epochs")
def training_goes_through_its_examples_so_often(runs: Runs) -> None:
    for epochs in (2, 3):
        training = _trained(runs, num_train_epochs=epochs)
        assert sum(training.watched.rows_a_pass(is_training=True)) == 12 * epochs
        assert training.summary.steps == 3 * epochs
        assert training.curve[-1].epoch == epochs


@cases("gradient_accumulation_steps")
def an_update_is_that_of_a_batch_so_many_times_as_large(runs: Runs) -> None:
    at_once = _trained(runs, per_device_train_batch_size=12)
    for size, times in ((4, 3), (6, 2)):
        accumulated = _trained(runs, per_device_train_batch_size=size, gradient_accumulation_steps=times)
        assert accumulated.watched.rows_a_pass(is_training=True) == [size] * times
        assert accumulated.summary.steps == at_once.summary.steps == 1
        assert accumulated.losses == pytest.approx(at_once.losses, rel=1e-4)
        assert accumulated.summary.best_eval_loss == pytest.approx(at_once.summary.best_eval_loss, rel=1e-3)


@cases("memory_optimized_training")
def less_is_kept_for_the_backward_pass_and_the_losses_are_the_same(runs: Runs) -> None:
    thrifty, plain = (
        _trained(runs, memory_optimized_training=thrifty, per_device_train_batch_size=1) for thrifty in (True, False)
    )
    assert thrifty.watched.kept_bytes < plain.watched.kept_bytes / 4
    assert thrifty.losses == pytest.approx(plain.losses, rel=1e-3)


@cases("num_few_shot_examples_student")
def the_student_is_shown_so_many_examples_and_one_of_each_class(runs: Runs) -> None:
    for job, count, shown in (("receipts", 0, 0), ("receipts", 2, 2), ("letters", 1, 3), ("letters", 5, 5)):
        train, held_out = _prepared(runs, job, num_few_shot_examples_student=count)
        rows = [*train, *held_out]
        assert {sum(message["role"] == "assistant" for message in row.prompt) for row in rows} == {shown}


@cases("train_eval_split")
def so_large_a_share_of_the_rows_is_held_back(runs: Runs) -> None:
    for share in (0.1, 0.5):
        train, held_out = _prepared(runs, "uneven letters", train_eval_split=share)
        assert len(held_out) == round(share * (len(train) + len(held_out)))


def _prepared(runs: Runs, job: str, **settings: object) -> tuple[list[ChatRow], list[ChatRow]]:
    """The rows for training and those held back, of a training on the seeds."""
    outcome = runs(job, "seeds", tuning=settings)
    training = prepared_sft(outcome.job, outcome.seeds, runs.new_folder("training"))
    return read_rows(training.train_rows, ChatRow), read_rows(training.eval_rows, ChatRow)
