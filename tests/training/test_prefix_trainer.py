import pytest
from training.small_models import small_model

from distil_dagster.training.formatting import load_chat_format


def collated(student, rows, *, share=True, model_type="llama"):
    from distil_dagster.training.prefix_trainer import PrefixCollator

    chat = load_chat_format(student)
    tokens = [chat.training_row(row) for row in rows]
    collate = PrefixCollator(chat.pad_id, model_type, share)
    return collate([{"input_ids": row.input_ids, "labels": row.labels} for row in tokens])


def loss_and_gradients(model, inputs):
    """Loss by the plain forward pass over everything, or by the trainer's own, with the gradients of all weights."""
    from distil_dagster.training.prefix_trainer import answer_loss

    model.zero_grad()
    loss = answer_loss(model, inputs) if "prefix" in inputs else model(**inputs).loss
    loss.backward()
    return loss.item(), {name: weight.grad.clone() for name, weight in model.named_parameters()}


def plain_batch(student, rows):
    """The same rows filled up at their ends under a mask, as collators do."""
    import torch

    chat = load_chat_format(student)
    tokens = [chat.training_row(row) for row in rows]
    length = max(len(row.input_ids) for row in tokens)

    def filled(values, filler):
        return torch.tensor([[*one, *[filler] * (length - len(one))] for one in values])

    return {
        "input_ids": filled([row.input_ids for row in tokens], chat.pad_id),
        "labels": filled([row.labels for row in tokens], -100),
        "attention_mask": filled([[1] * len(row.input_ids) for row in tokens], 0),
    }


@pytest.mark.parametrize(
    ("model_type", "share"), [("llama", True), ("llama", False), ("gemma3_text", True), ("lfm2", True)]
)
def test_loss_and_gradients_are_those_of_the_plain_forward_pass(student, rows, model_type, share):
    import torch

    inputs = collated(student, rows[:7], share=share, model_type=model_type)
    assert (inputs["prefix"] > 0) == (share and model_type == "llama")
    model = small_model(student, model_type)
    loss, gradients = loss_and_gradients(model, inputs)
    plain_loss, plain_gradients = loss_and_gradients(model, plain_batch(student, rows[:7]))
    assert loss == pytest.approx(plain_loss, rel=1e-5)
    for name, gradient in gradients.items():
        assert torch.allclose(gradient, plain_gradients[name], atol=1e-5), name


def test_no_token_of_a_prompt_adds_to_the_loss(student, rows):
    """The loss is exactly the mean over the answers' tokens, each row read alone."""
    import torch

    chat, model = load_chat_format(student), small_model(student)
    losses = []
    for row in map(chat.training_row, rows[:5]):
        logits = model(input_ids=torch.tensor([row.input_ids])).logits[0].log_softmax(-1)
        start = len(row.input_ids) - len(row.trained_ids)
        losses += [-logits[start + at - 1, token].item() for at, token in enumerate(row.trained_ids)]
    loss, _ = loss_and_gradients(model, collated(student, rows[:5]))
    assert loss == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_logits_are_computed_for_answers_alone_and_the_output_layer_is_left_as_it_was(student, rows):
    model, seen = small_model(student), []
    hook = model.lm_head.register_forward_hook(lambda _module, _given, logits: seen.append(tuple(logits.shape)))
    inputs = collated(student, rows[:6], share=False)
    loss_and_gradients(model, inputs)
    trained = int((inputs["labels"] != -100).sum())
    assert seen == [(trained, model.config.vocab_size)]
    hook.remove()
    assert model(input_ids=inputs["input_ids"]).logits.shape[:2] == inputs["input_ids"].shape


def test_a_single_row_has_no_prefix_to_share(student, rows):
    assert collated(student, rows[:1])["prefix"] == 0


def test_a_prefix_that_saves_little_is_not_shared():
    from distil_dagster.training.prefix_trainer import PrefixCollator

    def prefix(common):
        rows = [[*range(1, common + 1), *range(100 * at, 100 * at + 80)] for at in (1, 2)]
        labels = [[*[-100] * (len(row) - 1), row[-1]] for row in rows]
        tokens = [{"input_ids": row, "labels": label} for row, label in zip(rows, labels, strict=True)]
        return PrefixCollator(0, "llama", share=True)(tokens)["prefix"]

    assert prefix(5) == 0
    assert prefix(40) == 40


def test_the_loss_is_divided_by_the_tokens_of_the_whole_update(student, rows):
    from distil_dagster.training.prefix_trainer import answer_loss

    model, inputs = small_model(student), collated(student, rows[:4])
    count = int((inputs["labels"] != -100).sum())
    whole = answer_loss(model, inputs)
    half = answer_loss(model, inputs, 2 * count)
    assert half.item() == pytest.approx(whole.item() / 2)


def test_logits_are_not_to_be_had():
    from distil_dagster.training.prefix_trainer import PrefixTrainer

    with pytest.raises(NotImplementedError):
        PrefixTrainer.compute_loss(None, None, {}, return_outputs=True)
