import shutil

import pytest
from safetensors.torch import load_file
from training.conftest import CRIES, chat_row

from distil_dagster.errors import TrainingError
from distil_dagster.training.checkpoints import own_checkpoints
from distil_dagster.training.curve import FILE_NAME, CurvePoint
from distil_dagster.training.rows import read_rows, write_rows
from distil_dagster.training.sft import AUDIT_FILE, SUMMARY_FILE, SftSummary, steps_in, train


class BreaksOff:
    """A report under which training ends as if by a kill at the first measurement after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def measured(self, values) -> None:
        if values["step"] >= self.step:
            raise KeyboardInterrupt

    def failed(self, text: str) -> None:
        raise AssertionError(text)


def losses(job):
    return [(point.step, point.loss, point.eval_loss) for point in read_rows(job.output / FILE_NAME, CurvePoint)]


def test_training_lowers_the_loss_and_keeps_the_step_with_the_lowest_held_out_loss(sft_job, recorder):
    summary = train(sft_job, recorder)
    curve = read_rows(sft_job.output / FILE_NAME, CurvePoint)
    trained = [point.loss for point in curve if point.loss is not None]
    held_out = {point.step: point.eval_loss for point in curve if point.eval_loss is not None}
    assert trained[-1] < 0.9 * trained[0]
    assert summary.best_eval_loss == min(held_out.values())
    assert held_out[summary.best_step] == summary.best_eval_loss
    assert summary.steps == 10


def test_what_is_saved_is_the_step_with_the_lowest_held_out_loss_not_the_last(sft_job, recorder):
    # What is held out contradicts the rest: the better training is learned, the worse it goes there.
    write_rows(
        sft_job.eval_rows,
        [chat_row(cry, cry, animal) for cry, animal in zip(CRIES, ("cow", "cat", "dog"), strict=True)],
    )
    job = sft_job.model_copy(update={"tuning": sft_job.tuning.model_copy(update={"num_train_epochs": 8})})
    summary = train(job, recorder)
    assert summary.best_step < summary.steps
    best, last = (
        load_file(own_checkpoints(job) / f"checkpoint-{step}" / "adapter_model.safetensors")
        for step in (summary.best_step, summary.steps)
    )
    saved = load_file(job.output / "adapter_model.safetensors")
    assert all((saved[name] == best[name]).all() for name in saved)
    assert any((saved[name] != last[name]).any() for name in saved)


@pytest.fixture
def student_with_biases(student, tmp_path):
    """The student with biases that are not zero, as some families have them."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

    folder = tmp_path / "with-biases"
    shutil.copytree(student, folder)
    config = LlamaConfig.from_pretrained(student, attention_bias=True, mlp_bias=True)
    model = LlamaForCausalLM(config)
    model.load_state_dict(AutoModelForCausalLM.from_pretrained(student).state_dict(), strict=False)
    for name, weight in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(weight)
    model.save_pretrained(folder)
    return folder


def test_weight_decay_spares_biases_and_norms(sft_job, recorder, student_with_biases, tmp_path):
    """After a single step, weights with and without decay differ by the decay alone."""
    settings = {
        "use_lora": False,
        "learning_rate": 1e-3,
        "learning_rate_scheduler": "constant",
        "warmup_ratio": 0.0,
        "per_device_train_batch_size": 18,
        "num_train_epochs": 1,
    }
    after = []
    for decay in (0.0, 0.5):
        job = sft_job.model_copy(
            update={
                "student": student_with_biases,
                "tuning": sft_job.tuning.model_copy(update={**settings, "weight_decay": decay}),
                "output": tmp_path / f"decay-{decay}",
            }
        )
        assert train(job, recorder).steps == 1
        after.append(load_file(job.output / "model.safetensors"))
    spared = {name for name in after[0] if (after[0][name] == after[1][name]).all()}
    assert spared == {name for name in after[0] if name.endswith("bias") or "norm" in name}


def test_rows_of_a_batch_are_of_like_length(sft_job, recorder, monkeypatch):
    from distil_dagster.training.prefix_trainer import PrefixCollator

    seen, collate = [], PrefixCollator.__call__

    def watch(self, rows):
        seen.append([len(row["input_ids"]) for row in rows])
        return collate(self, rows)

    monkeypatch.setattr(PrefixCollator, "__call__", watch)
    train(sft_job, recorder)
    full = [lengths for lengths in seen if len(lengths) == 4]
    all_lengths = {length for lengths in seen for length in lengths}
    assert sum(max(lengths) - min(lengths) for lengths in full) / len(full) < (max(all_lengths) - min(all_lengths)) / 2


def test_the_output_folder_holds_adapter_tokenizer_curve_audit_and_summary(sft_job, recorder):
    summary = train(sft_job, recorder)
    names = {path.name for path in sft_job.output.iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json", FILE_NAME, AUDIT_FILE} <= names
    assert SftSummary.model_validate_json((sft_job.output / SUMMARY_FILE).read_text()) == summary
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl"))]


def test_what_is_measured_is_reported_while_training_runs(sft_job, recorder, caplog):
    with caplog.at_level("INFO", logger="distil_dagster"):
        train(sft_job, recorder)
    assert [values["step"] for values in recorder.values if "loss" in values] == list(range(1, 11))
    assert [values["step"] for values in recorder.values if "eval_loss" in values] == [5, 10]
    assert all(
        values["tokens_per_second"] > 0 and "learning_rate" in values for values in recorder.values if "loss" in values
    )
    assert "sft: step 1/10, loss " in caplog.text
    assert " left" in caplog.text


def test_equal_seeds_give_equal_adapters(sft_job, recorder, tmp_path):
    again = sft_job.model_copy(update={"output": tmp_path / "again", "checkpoints": tmp_path / "other-checkpoints"})
    other = again.model_copy(update={"output": tmp_path / "other", "seed": 8})
    for job in (sft_job, again, other):
        train(job, recorder)
    first, second, third = (load_file(job.output / "adapter_model.safetensors") for job in (sft_job, again, other))
    assert all((first[name] == second[name]).all() for name in first)
    assert any((first[name] != third[name]).any() for name in first)
    assert losses(sft_job) == losses(again)


@pytest.mark.parametrize("step", [3, 8])
def test_a_training_that_broke_off_goes_on_and_ends_as_if_it_had_not(sft_job, recorder, tmp_path, step):
    whole = sft_job.model_copy(update={"output": tmp_path / "whole", "checkpoints": tmp_path / "other-checkpoints"})
    train(whole, recorder)
    with pytest.raises(KeyboardInterrupt):
        train(sft_job, BreaksOff(step))
    assert not sft_job.output.exists()
    summary = train(sft_job, recorder)
    assert summary.resumed_at >= step - 1
    assert losses(sft_job) == losses(whole)
    adapters = [load_file(job.output / "adapter_model.safetensors") for job in (sft_job, whole)]
    assert all((adapters[0][name] == adapters[1][name]).all() for name in adapters[0])


def test_changed_rows_start_afresh(sft_job, recorder, rows):
    with pytest.raises(KeyboardInterrupt):
        train(sft_job, BreaksOff(5))
    write_rows(sft_job.train_rows, rows[1:19])
    assert train(sft_job, recorder).resumed_at == 0
    assert list(sft_job.checkpoints.iterdir()) == [own_checkpoints(sft_job)]


def test_without_lora_all_weights_are_trained_and_written_as_the_student_holds_them(sft_job, recorder, student):
    full = sft_job.model_copy(
        update={"tuning": sft_job.tuning.model_copy(update={"use_lora": False, "learning_rate": 1e-3})}
    )
    summary = train(full, recorder)
    before, after = load_file(student / "model.safetensors"), load_file(full.output / "model.safetensors")
    assert before.keys() == after.keys()
    assert all(before[name].dtype == after[name].dtype for name in before)
    assert all((before[name] != after[name]).any() for name in before)
    assert summary.trained_parameters == sum(weight.numel() for weight in before.values())


def test_the_parameters_of_tuning_reach_the_trainer(sft_job, recorder):
    changed = {
        "learning_rate_scheduler": "constant",
        "warmup_ratio": 0.3,
        "gradient_accumulation_steps": 2,
        "bf16": True,
    }
    job = sft_job.model_copy(update={"tuning": sft_job.tuning.model_copy(update=changed)})
    summary = train(job, recorder)
    rates = [values["learning_rate"] for values in recorder.values if "loss" in values]
    assert summary.steps == 6
    assert rates == pytest.approx([0.0, 5e-3, 1e-2, 1e-2, 1e-2, 1e-2])


def test_memory_optimized_training_gives_the_same_losses(sft_job, recorder, tmp_path):
    tuning = sft_job.tuning.model_copy(update={"memory_optimized_training": True})
    thrifty = sft_job.model_copy(update={"tuning": tuning, "output": tmp_path / "thrifty"})
    train(sft_job, recorder)
    train(thrifty, recorder)
    for (_, loss, held_out), (_, other, other_held_out) in zip(losses(sft_job), losses(thrifty), strict=True):
        assert (loss or held_out) == pytest.approx(other or other_held_out, rel=1e-3)


def test_without_held_out_rows_the_last_step_is_kept(sft_job, recorder):
    write_rows(sft_job.eval_rows, [])
    summary = train(sft_job, recorder)
    assert (summary.best_step, summary.best_eval_loss) == (None, None)
    assert (sft_job.output / "adapter_model.safetensors").exists()


def test_no_rows_or_rows_without_an_answer_are_errors_that_name_the_file(sft_job, recorder, rows):
    bare = rows[0].model_copy(update={"completion": ()})
    write_rows(sft_job.train_rows, [rows[1], bare])
    with pytest.raises(TrainingError, match=r"train\.jsonl: row row-0: has no completion"):
        train(sft_job, recorder)
    write_rows(sft_job.train_rows, [])
    with pytest.raises(TrainingError, match=r"train\.jsonl: no rows to train on"):
        train(sft_job, recorder)


@pytest.mark.parametrize(
    ("rows_given", "batch", "accumulated", "processes", "steps"),
    [(18, 4, 1, 1, 10), (18, 4, 2, 1, 6), (18, 4, 1, 2, 6), (1, 8, 8, 1, 2), (16, 4, 4, 1, 2)],
)
def test_steps_are_counted_as_the_trainer_counts_them(tuning, rows_given, batch, accumulated, processes, steps):
    changed = {"per_device_train_batch_size": batch, "gradient_accumulation_steps": accumulated}
    assert steps_in(tuning.model_copy(update=changed), rows_given, processes) == steps
