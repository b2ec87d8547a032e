"""What the parameters of `tuning` change that govern reinforcement learning after fine-tuning."""

from collections import Counter

from small_runs import Outcome, Runs
from small_trainings import Training

from distil_dagster.training.rows import ChatRow, RewardRow, read_rows
from parameter_cases.registry import Cases

cases = Cases()


def _run(runs: Runs, **settings: object) -> Outcome:
    """A run in which four examples are kept for reinforcement learning, unless the settings say otherwise."""
    return runs("letters", "reinforced", tuning={"rlvr_dataset_size": 0.27, **settings})


def _reinforced(outcome: Outcome) -> Training:
    assert outcome.reinforced is not None
    return outcome.reinforced


def _completions_by_question(outcome: Outcome) -> Counter[str]:
    """How many completions the judge was shown of each question; this student writes no two that are alike."""
    return Counter(question for request in outcome.asked("rlvr") for question in request.blocks("question"))


@cases("rlvr_dataset_size")
def so_large_a_share_of_the_examples_is_kept_for_it_and_0_leaves_it_out(runs: Runs) -> None:
    for share, kept in ((0.27, 4), (0.5, 8)):
        outcome = _run(runs, rlvr_dataset_size=share)
        tuned_on, reinforced_on = outcome.tuned.job, _reinforced(outcome).job
        rows = read_rows(reinforced_on.rows, RewardRow)
        others = [*read_rows(tuned_on.train_rows, ChatRow), *read_rows(tuned_on.eval_rows, ChatRow)]
        assert (len(rows), len(others)) == (kept, len(outcome.seeds.train) - kept)
        assert not {row.prompt[-1]["content"] for row in rows} & {row.prompt[-1]["content"] for row in others}
        assert len(_completions_by_question(outcome)) == kept
    off = runs("letters", "reinforced", tuning={"rlvr_dataset_size": 0.0})
    assert off.reinforced is None
    assert not off.asked("rlvr")


@cases("rlvr_llm_as_a_judge_model_name")
def the_named_model_gives_the_rewards(runs: Runs) -> None:
    for name in ("deepseek.v3.1", "zai.glm-5"):
        outcome = _run(runs, rlvr_llm_as_a_judge_model_name=name)
        assert _reinforced(outcome).summary.judgements == 8
        assert {request.model for request in outcome.asked("rlvr")} == {name}


@cases("rlvr_per_device_batch_size")
def a_step_has_so_many_completions(runs: Runs) -> None:
    for size in (2, 8):
        training = _reinforced(_run(runs, rlvr_per_device_batch_size=size))
        assert training.watched.rows_a_pass(is_training=True) == [size] * (8 // size)
        assert training.summary.steps == 8 // size


@cases("rlvr_num_generations")
def so_many_completions_are_written_for_each_prompt(runs: Runs) -> None:
    for count in (2, 4):
        outcome = _run(runs, rlvr_num_generations=count)
        assert set(_completions_by_question(outcome).values()) == {count}
        assert _reinforced(outcome).summary.steps == 4 * count // 4


@cases("rlvr_num_train_epochs")
def it_goes_through_its_prompts_so_often(runs: Runs) -> None:
    for epochs in (1, 3):
        outcome = _run(runs, rlvr_num_train_epochs=epochs)
        assert set(_completions_by_question(outcome).values()) == {2 * epochs}
        assert _reinforced(outcome).summary.steps == 2 * epochs
