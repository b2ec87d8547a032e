import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
PARAMETER repeat_penalty 1
PARAMETER num_predict 32
PARAMETER num_ctx 2048
PARAMETER stop "<|im_end|>"
'''


def test_the_template_is_the_models_own_in_ollamas_language(merged):
    assert modelfile(merged, "Be brief.", (), 32) == GOLDEN


def test_a_beginning_that_ollama_adds_itself_is_left_out(make_model, chatml):
    model = make_model("merged", "{{ bos_token }}" + chatml, begin="<s>")
    assert modelfile(model, "Be brief.", (), 32) == GOLDEN


def test_thinking_stays_switched_off(make_model, chatml):
    template = chatml.replace(
        "assistant\n{% endif %}", "assistant\n{% if enable_thinking is false %}<think></think>{% endif %}{% endif %}"
    )
    assert "assistant\n<think></think>{{ .Response }}" in modelfile(make_model("thinking", template), "x", (), 8)


def test_a_system_prompt_cannot_end_its_own_text(merged):
    text = modelfile(merged, 'Write """ here', (), 8)
    assert text.count('"""') == 4


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(TrainingError, match="no tokenizer"):
        modelfile(tmp_path, "x", (), 8)


SHOTS = ({"role": "user", "content": "Where is my card?"}, {"role": "assistant", "content": "cards"})
WITH_SHOTS = '''\
FROM ./merged
TEMPLATE """{{ $question := "" }}\
{{ range .Messages }}{{ if eq .Role "user" }}{{ $question = .Content }}{{ end }}{{ end }}\
<|im_start|>system
{{ .System }}<|im_end|>
<|im_start|>user
Where is my card?<|im_end|>
<|im_start|>assistant
cards<|im_end|>
<|im_start|>user
{{ $question }}<|im_end|>
<|im_start|>assistant
"""
SYSTEM """Be brief."""
PARAMETER temperature 0
PARAMETER repeat_penalty 1
PARAMETER num_predict 32
PARAMETER num_ctx 2048
PARAMETER stop "<|im_end|>"
'''


def test_worked_examples_stand_in_the_template_and_are_there_once_whoever_asks(merged):
    assert modelfile(merged, "Be brief.", SHOTS, 32) == WITH_SHOTS


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(text=st.text(st.sampled_from('{}"\\a\n '), max_size=12))
def test_whatever_an_example_holds_ollama_reads_it_as_text(merged, text):
    written = modelfile(merged, "x", ({"role": "user", "content": text}, SHOTS[1]), 8)
    template = written.split('TEMPLATE """')[1].split('"""\nSYSTEM')[0]
    assert '"""' not in template
    shown = template.split("<|im_start|>user\n")[1].split("<|im_end|>")[0]
    # What Ollama's language makes of it: its only actions here are strings.
    assert re.sub(r'\{\{ "(\{\{|\\")" \}\}', lambda found: found[1].removeprefix("\\"), shown) == text
