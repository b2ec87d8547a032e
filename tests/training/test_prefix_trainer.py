import pytest

from distil_dagster.training.formatting import load_chat_format


def batch(student, rows, *, share):
    from distil_dagster.training.prefix_trainer import PrefixCollator

    chat = load_chat_format(student)
    tokens = [chat.training_row(row) for row in rows]
    collate = PrefixCollator(chat.pad_id, "llama", share)
    return collate([{"input_ids": row.input_ids, "labels": row.labels} for row in tokens])


def loss_and_gradient(student, inputs):
    """Loss by the plain forward pass over everything, or by the trainer's own, with the gradient of one matrix."""
    import torch

    from distil_dagster.training.models import load_base
    from distil_dagster.training.prefix_trainer import answer_loss

    model = load_base(student, dtype=torch.float32)
    loss = answer_loss(model, inputs) if "prefix" in inputs else model(**inputs).loss
    loss.backward()
    return loss.item(), model.model.layers[0].self_attn.q_proj.weight.grad


@pytest.mark.parametrize("share", [True, False])
def test_loss_and_gradient_are_those_of_the_plain_forward_pass(student, rows, share):
    import torch

    inputs = batch(student, rows[:6], share=share)
    assert (inputs["prefix"] > 0) == share
    chat = load_chat_format(student)
    tokens = [chat.training_row(row) for row in rows[:6]]
    length = max(len(row.input_ids) for row in tokens)
    plain = {
        "input_ids": torch.tensor([row.input_ids + [0] * (length - len(row.input_ids)) for row in tokens]),
        "labels": torch.tensor([row.labels + [-100] * (length - len(row.labels)) for row in tokens]),
    }
    loss, gradient = loss_and_gradient(student, inputs)
    plain_loss, plain_gradient = loss_and_gradient(student, plain)
    assert loss == pytest.approx(plain_loss, rel=1e-5)
    assert torch.allclose(gradient, plain_gradient, atol=1e-6)


def test_a_single_row_has_no_prefix_to_share(student, rows):
    assert batch(student, rows[:1], share=True)["prefix"] == 0


def test_answers_of_different_lengths_stand_under_each_other(student, rows):
    inputs = batch(student, rows[:3], share=True)
    trained = (inputs["labels"] != -100).sum(dim=1)
    assert inputs["answer_length"] == trained.max()
    assert (inputs["labels"][:, -1] == inputs["input_ids"][:, -1]).all()


def test_the_loss_is_divided_by_the_tokens_of_the_whole_update(student, rows):
    import torch

    from distil_dagster.training.models import load_base
    from distil_dagster.training.prefix_trainer import answer_loss

    model = load_base(student, dtype=torch.float32)
    inputs = batch(student, rows[:4], share=True)
    count = int((inputs["labels"] != -100).sum())
    whole = answer_loss(model, inputs)
    half = answer_loss(model, inputs, 2 * count)
    assert half.item() == pytest.approx(whole.item() / 2)


def test_logits_are_not_to_be_had(student, rows):
    from distil_dagster.training.prefix_trainer import PrefixTrainer

    with pytest.raises(NotImplementedError):
        PrefixTrainer.compute_loss(None, None, {}, return_outputs=True)
