import pytest

from distil_dagster.errors import TrainingError
from distil_dagster.export.modelfile import modelfile

GOLDEN = '''\
FROM ./merged
TEMPLATE """<|im_start|>system
{{ .System }}<|im_end|>
<|im_start|>user
{{ .Prompt }}<|im_end|>
<|im_start|>assistant
{{ .Response }}<|im_end|>"""
SYSTEM """Be brief."""
PARAMETER temperature 0
PARAMETER num_predict 32
PARAMETER num_ctx 2048
PARAMETER stop "<|im_end|>"
'''


def test_the_template_is_the_models_own_in_ollamas_language(merged):
    assert modelfile(merged, "Be brief.", 32) == GOLDEN


def test_a_beginning_that_ollama_adds_itself_is_left_out(make_model, chatml):
    model = make_model("merged", "{{ bos_token }}" + chatml, begin="<s>")
    assert modelfile(model, "Be brief.", 32) == GOLDEN


def test_thinking_stays_switched_off(make_model, chatml):
    template = chatml.replace(
        "assistant\n{% endif %}", "assistant\n{% if enable_thinking is false %}<think></think>{% endif %}{% endif %}"
    )
    assert "assistant\n<think></think>{{ .Response }}" in modelfile(make_model("thinking", template), "x", 8)


def test_a_system_prompt_cannot_end_its_own_text(merged):
    text = modelfile(merged, 'Write """ here', 8)
    assert text.count('"""') == 4


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(TrainingError, match="no tokenizer"):
        modelfile(tmp_path, "x", 8)
