import json
from dataclasses import replace

import pytest

from distil_dagster.errors import TrainingError
from distil_dagster.export.answer_template import answer_template
from distil_dagster.export.bundle import write_bundle
from distil_dagster.training.formatting import load_chat_format


@pytest.fixture
def adapter(tmp_path):
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(b"adapter")
    return folder


def test_the_bundle_holds_everything_that_a_user_takes_away(tmp_path, merged, adapter, serving, facts):
    bundle = write_bundle(tmp_path / "out" / "bundle", merged, adapter, serving, facts)
    names = {str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()}
    assert {
        "model/model.safetensors",
        "model/tokenizer.json",
        "model-adapters/adapter_model.safetensors",
        "Modelfile",
        "model_client.py",
        "prompt.json",
        "README.md",
    } <= names


def test_the_prompt_is_the_very_text_of_training(tmp_path, merged, serving, facts):
    bundle = write_bundle(tmp_path / "bundle", merged, None, serving, facts)
    prompt = json.loads((bundle / "prompt.json").read_text())
    assert prompt["system_prompt"] == serving.system_prompt
    assert (prompt["model"], prompt["max_tokens"], prompt["tools"]) == ("banking", 32, [])
    assert serving.system_prompt in (bundle / "Modelfile").read_text()


def test_where_all_weights_were_trained_there_is_no_adapter(tmp_path, merged, serving, facts):
    bundle = write_bundle(tmp_path / "bundle", merged, None, serving, facts)
    assert not (bundle / "model-adapters").exists()
    assert "model-adapters" not in (bundle / "README.md").read_text()


def test_a_new_bundle_takes_the_place_of_the_old_one(tmp_path, merged, adapter, serving, facts):
    write_bundle(tmp_path / "bundle", merged, adapter, serving, facts)
    write_bundle(tmp_path / "bundle", merged, None, serving, facts)
    assert not (tmp_path / "bundle" / "model-adapters").exists()


def test_a_bundle_that_fails_leaves_the_old_one(tmp_path, merged, serving, facts):
    write_bundle(tmp_path / "bundle", merged, None, serving, facts)
    (merged / "tokenizer_config.json").unlink()
    (merged / "tokenizer.json").unlink()
    with pytest.raises(TrainingError):
        write_bundle(tmp_path / "bundle", merged, None, serving, facts)
    assert (tmp_path / "bundle" / "prompt.json").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "merged"]


def test_without_a_merged_model_there_is_no_bundle(tmp_path, serving, facts):
    with pytest.raises(TrainingError, match="no merged model to bundle"):
        write_bundle(tmp_path / "bundle", tmp_path, None, serving, facts)


def test_worked_examples_go_with_the_prompt(tmp_path, merged, serving, facts):
    shots = ({"role": "user", "content": "A fee?"}, {"role": "assistant", "content": "fees"})
    bundle = write_bundle(tmp_path / "bundle", merged, None, replace(serving, shots=shots), facts)
    assert json.loads((bundle / "prompt.json").read_text())["shots"] == list(shots)
    assert "A fee?" in (bundle / "Modelfile").read_text()
    assert "worked examples" in (bundle / "README.md").read_text()


def test_a_model_for_tools_comes_with_its_tools_and_without_a_modelfile(tmp_path, merged, serving, facts):
    tool = {"type": "function", "function": {"name": "lock", "parameters": {"type": "object", "properties": {}}}}
    bundle = write_bundle(tmp_path / "bundle", merged, None, replace(serving, tools=(tool,)), facts)
    assert json.loads((bundle / "prompt.json").read_text())["tools"] == [tool]
    assert not (bundle / "Modelfile").exists()


def test_the_server_is_told_how_to_read_the_answers(tmp_path, merged, serving, facts):
    tools = ({"type": "function", "function": {"name": "lock", "parameters": {"type": "object", "properties": {}}}},)
    card = replace(facts, tool_parser="hermes")
    bundle = write_bundle(tmp_path / "bundle", merged, None, replace(serving, tools=tools), card)
    template = load_chat_format(bundle / "model").tokenizer.response_template
    assert template == answer_template("hermes", ["<|im_end|>"])
    assert json.loads((bundle / "prompt.json").read_text())["tool_call_parser"] == "hermes"


def test_nothing_else_of_the_tokenizer_is_changed(tmp_path, merged, serving, facts):
    bundle = write_bundle(tmp_path / "bundle", merged, None, serving, facts)
    before, after = (json.loads((model / "tokenizer_config.json").read_text()) for model in (merged, bundle / "model"))
    assert after.pop("response_template")
    assert after == before
    assert (bundle / "model" / "tokenizer.json").read_text() == (merged / "tokenizer.json").read_text()
    assert (bundle / "model" / "chat_template.jinja").read_text() == (merged / "chat_template.jinja").read_text()


def test_a_model_without_its_settings_for_generation_is_not_bundled(tmp_path, merged, serving, facts):
    (merged / "generation_config.json").unlink()
    with pytest.raises(TrainingError, match="settings for generation"):
        write_bundle(tmp_path / "bundle", merged, None, serving, facts)
