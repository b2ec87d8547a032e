"""Every family learns a few rows by heart with LoRA, is written, read again, merged, and answers as it learned."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from safetensors.torch import load_file

from distil_dagster.config.sections import Tuning
from distil_dagster.training.families import FAMILIES, OTHER
from distil_dagster.training.formatting import ChatFormat, load_chat_format
from distil_dagster.training.job import MergeJob, PredictJob, SftJob
from distil_dagster.training.merge import merge
from distil_dagster.training.models import load_base
from distil_dagster.training.predict import predict
from distil_dagster.training.rows import ChatRow, Written, write_rows
from distil_dagster.training.sft import train

SHAPES = (
    *("llama-3.2", "smollm2", "functiongemma", "gemma-3", "gemma-3-vision"),
    *("qwen3", "lfm2", "lfm2.5", "of-no-family"),
)
STEPS = 16


@dataclass(frozen=True)
class Taught:
    """A student with the adapter that learned `rows`, both merged, and what student and adapter write for them."""

    student: Path
    adapter: Path
    merged: Path
    chat: ChatFormat
    rows: list[ChatRow]
    written: list[Written]


def lesson(folder: Path, student: Path, rows: list[ChatRow], **settings: object) -> SftJob:
    """A training that learns rows by heart."""
    write_rows(folder / "rows.jsonl", rows)
    write_rows(folder / "none.jsonl", [])
    steady = {"learning_rate_scheduler": "constant", "bf16": False, "per_device_train_batch_size": 2}
    return SftJob(
        student=student,
        tuning=Tuning(**steady, **settings),
        seed=1,
        train_rows=folder / "rows.jsonl",
        eval_rows=folder / "none.jsonl",
        output=folder / "adapter",
        checkpoints=folder / "checkpoints",
    )


@pytest.fixture(scope="module", params=SHAPES)
def taught(request, student_folder, load_chat, rows_of, tmp_path_factory) -> Taught:
    folder, student, chat = tmp_path_factory.mktemp("taught"), student_folder(request.param), load_chat(request.param)
    kinds = ("text", "tool") if chat.family.tool_format else ("text",)
    rows = [row.model_copy(update={"id": kind}) for kind in kinds for row in rows_of(kind)]
    settings = {"learning_rate": 1e-2, "lora_r": 32, "lora_alpha_multiplier": 2, "num_train_epochs": STEPS}
    job = lesson(folder, student, rows, **settings)
    assert train(job, Silent()).steps == STEPS
    merge(MergeJob(model=student, adapter=job.output, output=folder / "merged"))
    written = answers(folder, rows, student, job.output)
    return Taught(student, job.output, folder / "merged", chat, rows, written)


class Silent:
    """A report that nobody reads."""

    def measured(self, values) -> None: ...

    def failed(self, text: str) -> None: ...


def answers(folder: Path, rows: list[ChatRow], model: Path, adapter: Path | None = None) -> list[Written]:
    asked = [row.model_copy(update={"completion": ()}) for row in rows]
    write_rows(folder / "asked.jsonl", asked)
    job = {"rows": folder / "asked.jsonl", "output": folder / "written.jsonl", "max_new_tokens": 40}
    return predict(PredictJob(model=model, adapter=adapter, **job))


def weights(folder: Path) -> dict:
    return load_file(folder / "model.safetensors")


def test_all_families_are_taught(load_chat):
    taught = {(load_chat(shape).family.name, load_chat(shape).family.model_type) for shape in SHAPES}
    assert taught == {(family.name, family.model_type) for family in (*FAMILIES, OTHER)}


def test_the_student_writes_what_it_learned_and_stops_at_the_token_that_ends_it(taught):
    for row, written in zip(taught.rows, taught.written, strict=True):
        answer = taught.chat.completion_text(row)
        assert written.text == answer.removesuffix(taught.chat.end_of(row))
        assert written.finish_reason == "stop"


def test_the_merged_model_writes_the_same(taught, tmp_path):
    assert answers(tmp_path, taught.rows, taught.merged) == taught.written


def test_the_merged_folder_holds_the_weights_under_their_names_and_stops_where_training_ended_answers(taught):
    before, after = weights(taught.student), weights(taught.merged)
    assert before.keys() == after.keys()
    assert load_base(taught.merged).config.tie_word_embeddings == load_base(taught.student).config.tie_word_embeddings
    settings = json.loads((taught.merged / "generation_config.json").read_text())
    assert taught.chat.stop_ids <= set(settings["eos_token_id"])
    assert not settings["do_sample"]
    assert load_chat_format(taught.merged).tokenizer.chat_template == taught.chat.tokenizer.chat_template


def test_lora_trains_every_linear_layer_that_reads_text_and_nothing_else(taught):
    import torch

    before, after = weights(taught.student), weights(taught.merged)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    linear = {name for name in before if before[name].dim() == 2 and name.endswith(".weight")}
    others = ("embed_tokens", "lm_head", "vision_tower", "multi_modal_projector")
    assert changed == {name for name in linear if not any(other in name for other in others)}
    # What reads images would not change where there are none to read, and be trained all the same.
    trained = [name for name in load_file(taught.adapter / "adapter_model.safetensors") if ".lora_A." in name]
    assert len(trained) == len(changed)


def test_what_reads_images_goes_along_untouched(student_folder, tmp_path):
    student = student_folder("gemma-3-vision")
    merge(MergeJob(model=student, output=tmp_path / "merged"))
    assert any("vision_tower" in name for name in weights(tmp_path / "merged"))
    assert (tmp_path / "merged" / "preprocessor_config.json").read_bytes() == (
        student / "preprocessor_config.json"
    ).read_bytes()


def test_how_images_are_given_stays_with_a_student_all_of_whose_weights_are_trained(student_folder, rows_of, tmp_path):
    student = student_folder("gemma-3-vision")
    job = lesson(tmp_path, student, rows_of("text"), learning_rate=1e-3, use_lora=False, num_train_epochs=1)
    train(job, Silent())
    assert (job.output / "preprocessor_config.json").read_bytes() == (student / "preprocessor_config.json").read_bytes()
