from distil_dagster.training.curve import CurvePoint, curve_of


def test_the_curve_is_what_was_measured_in_the_order_of_steps():
    history = [
        {"step": 1, "epoch": 0.5, "loss": 2.0, "learning_rate": 1e-4, "grad_norm": 1.5, "tokens_per_second": 300.0},
        {"step": 2, "epoch": 1.0, "loss": 1.0, "learning_rate": 0.0},
        {"step": 2, "epoch": 1.0, "eval_loss": 1.2, "eval_runtime": 3.0},
        {"step": 2, "epoch": 1.0, "train_runtime": 9.0, "train_loss": 1.5},
    ]
    assert curve_of(history) == [
        CurvePoint(step=1, epoch=0.5, loss=2.0, learning_rate=1e-4, grad_norm=1.5, tokens_per_second=300.0),
        CurvePoint(step=2, epoch=1.0, loss=1.0, learning_rate=0.0),
        CurvePoint(step=2, epoch=1.0, eval_loss=1.2),
    ]


def test_reinforcement_learning_has_a_curve_of_rewards():
    assert curve_of([{"step": 3, "reward": 0.5, "kl": 0.1}]) == [CurvePoint(step=3, reward=0.5)]


def test_no_log_is_an_empty_curve():
    assert curve_of([]) == []
