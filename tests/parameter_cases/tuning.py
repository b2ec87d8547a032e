"""What the parameters of `tuning` change, as far as the rows that are prepared for training show it."""

from small_runs import Runs

from distil_dagster.config.sections import Tuning
from distil_dagster.training.preparing import prepare_sft, student_shots
from distil_dagster.training.rows import ChatRow, read_rows
from distil_dagster.training.weights import Weights
from parameter_cases.registry import Cases

cases = Cases()


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
    work, shots = runs.new_folder("training"), student_shots(outcome.job, outcome.seeds.train)
    training = prepare_sft(outcome.job, outcome.seeds.train, Weights(work, "none"), work, shots)
    return read_rows(training.train_rows, ChatRow), read_rows(training.eval_rows, ChatRow)


_SHOWN_BY_ROWS = set(cases.by_parameter)
_OF_RLVR = {field for field in Tuning.model_fields if field.startswith("rlvr_")}

cases.pend(_OF_RLVR, "training: what it changes is to be shown on a small run of the RLVR trainer")
cases.pend(
    set(Tuning.model_fields) - _OF_RLVR - _SHOWN_BY_ROWS,
    "training: what it changes is to be shown on a small run of the SFT trainer",
)
