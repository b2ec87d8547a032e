import json
import os
import shutil

import pytest

from distil_dagster.errors import TrainingError
from distil_dagster.training.weight_files import check_adapter, check_model, check_safetensors, weight_files


@pytest.fixture
def model(student, tmp_path):
    return shutil.copytree(student, tmp_path / "model")


@pytest.fixture
def unprivileged():
    """Root may read everything; a test of what may not be read needs another user."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def cut(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def test_a_whole_model_and_a_whole_adapter_pass(model, tuned):
    check_model(model)
    check_adapter(tuned)


def test_weights_cut_short_are_named_with_how_much_is_there(model):
    weights = model / "model.safetensors"
    whole = weights.stat().st_size
    cut(weights, 0.5)
    with pytest.raises(
        TrainingError, match=rf"^{weights}: is not whole: {whole // 2} of {whole} bytes; copy or download"
    ):
        check_model(model)


@pytest.mark.parametrize("content", [b"", b"1234", b"hello world, no model", b"\x02\0\0\0\0\0\0\0[]", b"\xff" * 40])
def test_what_is_no_safetensors_file_is_called_so(model, content):
    (model / "model.safetensors").write_bytes(content)
    with pytest.raises(TrainingError, match=r"model\.safetensors: no safetensors file, or one that is cut short"):
        check_model(model)


def test_a_pointer_of_git_lfs_is_recognised(model):
    (model / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n")
    with pytest.raises(TrainingError, match="is a pointer of Git LFS, not the weights; fetch them with `git lfs pull`"):
        check_model(model)


def test_every_part_of_weights_in_several_files_is_looked_at(model):
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(model)
    (model / "model.safetensors").unlink()
    loaded.save_pretrained(model, max_shard_size="100KB")
    parts = weight_files(model)
    assert len(parts) > 1
    check_model(model)
    cut(parts[-1], 0.9)
    with pytest.raises(TrainingError, match=f"{parts[-1].name}: is not whole"):
        check_model(model)
    parts[0].unlink()
    with pytest.raises(TrainingError, match=f"{parts[0].name}: cannot be read: No such file"):
        check_model(model)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_a_missing_settings_file_is_named(model, name):
    (model / name).unlink()
    with pytest.raises(TrainingError, match=rf"^{model}: has no {name}$"):
        check_model(model)


def test_settings_that_are_no_json_are_named(model):
    (model / "config.json").write_text('{"model_type"')
    with pytest.raises(TrainingError, match=r"config\.json: no JSON: "):
        check_model(model)
    (model / "config.json").write_text("[]")
    with pytest.raises(TrainingError, match=r"config\.json: holds no JSON object"):
        check_model(model)


def test_pickled_weights_are_refused(model):
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    with pytest.raises(TrainingError, match=r"its weights are pickles \(\*\.bin\), which can run code"):
        check_model(model)


def test_missing_weights_are_named(model):
    (model / "model.safetensors").unlink()
    with pytest.raises(TrainingError, match=r"model\.safetensors: cannot be read: No such file"):
        check_model(model)


def test_an_adapter_lacks_or_has_half_of_its_files(tuned, tmp_path):
    adapter = shutil.copytree(tuned, tmp_path / "half")
    cut(adapter / "adapter_model.safetensors", 0.5)
    with pytest.raises(TrainingError, match=r"adapter_model\.safetensors: is not whole"):
        check_adapter(adapter)
    (adapter / "adapter_model.safetensors").unlink()
    with pytest.raises(TrainingError, match=r"adapter_model\.safetensors: cannot be read"):
        check_adapter(adapter)
    (adapter / "adapter_config.json").unlink()
    with pytest.raises(TrainingError, match=r"has no adapter_config\.json"):
        check_adapter(adapter)


def test_a_file_that_may_not_be_read_is_named(model, unprivileged):
    weights = model / "model.safetensors"
    if os.access(weights, os.R_OK, effective_ids=True):
        weights.chmod(0)
    with pytest.raises(TrainingError, match=r"model\.safetensors: cannot be read: Permission denied"):
        check_safetensors(weights)


def test_a_header_may_hold_text_about_the_file(tmp_path):
    header = json.dumps({"__metadata__": {"format": "pt"}}).encode()
    (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    check_safetensors(tmp_path / "a.safetensors")
