import pytest

from distil_dagster.training import trainer_progress
from distil_dagster.training.trainer_progress import TrainerProgress


class Clock:
    """A time that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(trainer_progress, "time", clock)
    return clock


class Training:
    """A trainer's side of the talk: steps of given length, and a log after every `logging_steps`."""

    def __init__(self, clock, progress, steps, logging_steps, seconds_a_step, tokens_a_step=0):
        from transformers import TrainerControl, TrainerState, TrainingArguments

        self.clock, self.progress, self.seconds, self.tokens = clock, progress, seconds_a_step, tokens_a_step
        self.state = TrainerState(max_steps=steps)
        self.control = TrainerControl()
        self.args = TrainingArguments(output_dir="unused", logging_steps=logging_steps, report_to="none", use_cpu=True)
        progress.on_train_begin(self.args, self.state, self.control)

    def step(self):
        self.clock.now += self.seconds
        self.state.global_step += 1
        self.state.num_input_tokens_seen += self.tokens
        self.progress.on_step_end(self.args, self.state, self.control)
        if self.state.global_step % self.args.logging_steps == 0:
            self.state.log_history.append({"loss": 0.5, "reward": 0.25, "step": self.state.global_step})
            self.progress.on_log(self.args, self.state, self.control)


def test_slow_steps_between_two_logs_have_lines_of_their_own(clock, recorder, caplog):
    training = Training(clock, TrainerProgress("sft", recorder, 120.0, 100), 1000, 100, seconds_a_step=4)
    with caplog.at_level("INFO", logger="distil_dagster"):
        for _ in range(100):
            training.step()
    steps = [values["step"] for values in recorder.values]
    assert steps == [*range(3, 100, 3), 100]
    assert caplog.messages[0] == "sft: step 3/1000, tokens/s 30, 1:06:28 left"
    assert caplog.messages[-1] == "sft: step 100/1000, loss 0.5000, reward 0.250, tokens/s 30, 1:00:00 left"
    # A curve that depended on the machine's speed could not be repeated.
    assert [entry["step"] for entry in training.state.log_history] == [100]


def test_fast_steps_have_no_lines_between_the_logs(clock, recorder):
    training = Training(clock, TrainerProgress("sft", recorder, 120.0, 100), 1000, 100, seconds_a_step=0.01)
    for _ in range(300):
        training.step()
    assert [values["step"] for values in recorder.values] == [100, 200, 300]


def test_where_only_the_trainer_knows_the_tokens_it_is_asked(clock, recorder, caplog):
    progress = TrainerProgress("rlvr", recorder, None, 1)
    training = Training(clock, progress, 10, 1, seconds_a_step=2, tokens_a_step=500)
    with caplog.at_level("INFO", logger="distil_dagster"):
        training.step()
        training.step()
    assert [values["tokens_per_second"] for values in recorder.values] == [250.0, 250.0]
    assert caplog.messages[-1] == "rlvr: step 2/10, loss 0.5000, reward 0.250, tokens/s 250, 0:16 left"


def test_a_resumed_training_counts_speed_and_time_from_its_checkpoint(clock, recorder, caplog):
    training = Training(clock, TrainerProgress("rlvr", recorder, None, 1), 10, 1, seconds_a_step=2, tokens_a_step=500)
    training.state.global_step, training.state.num_input_tokens_seen = 6, 3000
    with caplog.at_level("INFO", logger="distil_dagster"):
        training.progress.on_train_begin(training.args, training.state, training.control)
        training.step()
    assert caplog.messages == [
        "rlvr: training, 4 steps",
        "rlvr: step 7/10, loss 0.5000, reward 0.250, tokens/s 250, 0:06 left",
    ]


def test_a_checkpoint_is_asked_for_where_it_is_due(clock, recorder):
    training = Training(clock, TrainerProgress("sft", recorder, 1.0, 3), 10, 1, seconds_a_step=1)
    asked = []
    for _ in range(6):
        training.control.should_save = False
        training.step()
        asked.append(training.control.should_save)
    assert asked == [False, False, True, False, False, True]
