import json

import pytest
from safetensors.torch import load_file

from distil_dagster.errors import TrainingError
from distil_dagster.training.formatting import load_chat_format
from distil_dagster.training.job import MergeJob, PredictJob
from distil_dagster.training.merge import merge
from distil_dagster.training.predict import predict
from distil_dagster.training.rows import write_rows


@pytest.fixture
def merged(student, tuned, tmp_path):
    merge(MergeJob(model=student, adapter=tuned, output=tmp_path / "merged"))
    return tmp_path / "merged"


def test_the_merged_model_answers_as_the_adapter_does(student, tuned, merged, rows, tmp_path):
    write_rows(tmp_path / "rows.jsonl", rows)
    asked = {"rows": tmp_path / "rows.jsonl", "output": tmp_path / "written.jsonl", "max_new_tokens": 6}
    assert predict(PredictJob(model=merged, **asked)) == predict(PredictJob(model=student, adapter=tuned, **asked))


def test_the_merged_weights_are_the_unmerged_sum(student, tuned, merged):
    base, whole = load_file(student / "model.safetensors"), load_file(merged / "model.safetensors")
    adapter = load_file(tuned / "adapter_model.safetensors")
    name = "model.layers.0.self_attn.q_proj"
    a, b = (adapter[f"base_model.model.{name}.lora_{which}.weight"] for which in "AB")
    scale = json.loads((tuned / "adapter_config.json").read_text())["lora_alpha"] / a.shape[0]
    assert base.keys() == whole.keys()
    assert whole[f"{name}.weight"].sub(base[f"{name}.weight"] + scale * b @ a).abs().max() < 1e-5


def test_the_folder_needs_nothing_else(student, merged):
    names = {path.name for path in merged.iterdir()}
    assert {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
    } <= names
    chat = load_chat_format(merged)
    assert chat.tokenizer.chat_template == load_chat_format(student).tokenizer.chat_template
    settings = json.loads((merged / "generation_config.json").read_text())
    assert settings["eos_token_id"] == [chat.end_of_turn_id]
    assert not settings.get("do_sample")


def test_a_model_without_an_adapter_is_written_as_it_is(student, tmp_path):
    merge(MergeJob(model=student, output=tmp_path / "copy"))
    before, after = (load_file(folder / "model.safetensors") for folder in (student, tmp_path / "copy"))
    assert all((before[name] == after[name]).all() for name in before)


def test_a_failed_merge_leaves_nothing_behind(student, tmp_path):
    with pytest.raises(TrainingError):
        merge(MergeJob(model=student, adapter=tmp_path / "none", output=tmp_path / "out" / "merged"))
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_the_adapter_of_another_model_is_refused(student, tuned, tmp_path):
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig.from_pretrained(student)
    config.hidden_size = 32
    config.head_dim = 8
    LlamaForCausalLM(config).save_pretrained(tmp_path / "other")
    load_chat_format(student).tokenizer.save_pretrained(tmp_path / "other")
    with pytest.raises(TrainingError, match="not an adapter of"):
        merge(MergeJob(model=tmp_path / "other", adapter=tuned, output=tmp_path / "merged"))
