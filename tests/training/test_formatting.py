import json
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distil_dagster.errors import TrainingError
from distil_dagster.training.formatting import IGNORED, load_chat_format, pin_template
from distil_dagster.training.rows import ChatRow


@pytest.fixture(scope="module")
def chat(student):
    return load_chat_format(student)


@pytest.fixture
def changed_student(student, tmp_path):
    """Makes a copy of the student with another chat template."""

    def change(template):
        folder = shutil.copytree(student, tmp_path / "changed")
        (folder / "chat_template.jinja").unlink(missing_ok=True)
        settings = json.loads((folder / "tokenizer_config.json").read_text()) | {"chat_template": template}
        if template is None:
            settings.pop("chat_template")
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
        return folder

    return change


def question(text, answer):
    return ChatRow(
        id="row-1",
        prompt=({"role": "user", "content": text},),
        completion=({"role": "assistant", "content": answer},),
    )


def test_exactly_the_answer_and_the_end_of_turn_are_trained(chat):
    tokens = chat.training_row(question("moo", "cow"))
    assert chat.decode(tokens.input_ids) == "<|im_start|>user\nmoo<|im_end|>\n<|im_start|>assistant\ncow<|im_end|>"
    assert chat.decode(tokens.trained_ids) == "cow<|im_end|>"
    assert tokens.labels[: -len(tokens.trained_ids)] == [IGNORED] * (len(tokens.input_ids) - len(tokens.trained_ids))


def test_the_prompt_of_training_is_the_prompt_of_generation(chat):
    row = question("moo", "cow")
    prompt = chat.prompt_ids(row)
    assert chat.training_row(row).input_ids[: len(prompt)] == prompt


# The end of a turn, written out in an answer, is that token: whoever can write it can end the turn.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: "<|" not in text)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
@given(text=TEXTS, answer=TEXTS)
def test_any_answer_is_trained_whole(chat, text, answer):
    assert chat.decode(chat.training_row(question(text, answer)).trained_ids) == answer + "<|im_end|>"


def test_a_call_of_a_tool_is_trained_in_the_words_of_the_template(chat):
    call = {"type": "function", "function": {"name": "lock", "arguments": {"door": "front"}}}
    row = question("lock the door", "").model_copy(
        update={"completion": ({"role": "assistant", "content": "", "tool_calls": [call]},)}
    )
    written = chat.decode(chat.training_row(row).trained_ids)
    assert written.startswith("<tool_call>\n")
    assert written.endswith("\n</tool_call><|im_end|>")
    assert '"front"' in written


def test_a_row_that_the_student_cannot_read_whole_is_an_error_that_names_the_parameter(chat):
    with pytest.raises(TrainingError, match=r"row row-1: \d+ tokens, .* at most 512; lower synthgen\.validation_max"):
        chat.training_row(question("moo " * 600, "cow"))
    with pytest.raises(TrainingError, match="at most 512"):
        chat.prompt_ids(question("moo " * 600, "cow"))


def test_thinking_is_switched_off_in_the_template_itself(changed_student):
    template = (
        "{% for message in messages %}<|im_start|>{{ message.role }}\n"
        "{% if message.role == 'assistant' %}<think>\n\n</think>\n\n{% endif %}{{ message.content }}"
        "<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n"
        "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
    )
    chat = load_chat_format(changed_student(template))
    tokens = chat.training_row(question("moo", "cow"))
    assert chat.decode(tokens.trained_ids) == "cow<|im_end|>"
    assert "</think>\n\ncow" in chat.decode(tokens.input_ids)


def test_the_date_does_not_come_from_the_calendar():
    template = (
        "{% if date_string is not defined %}{% set date_string = strftime_now('%d') %}{% endif %}{{ date_string }}"
    )
    assert pin_template(template).startswith("{%- set date_string = '26 Jul 2024' -%}")


def test_pinning_twice_changes_nothing_and_a_template_without_such_values_stays():
    once = pin_template("{{ enable_thinking }} {{ date_string }}")
    assert pin_template(once) == once
    assert pin_template("{{ messages }}") == "{{ messages }}"


def test_a_student_without_a_chat_template_is_refused(changed_student):
    with pytest.raises(TrainingError, match="no chat template"):
        load_chat_format(changed_student(None))


def test_a_template_that_ends_turns_without_a_special_token_is_refused(changed_student):
    template = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n\n{% endfor %}"
    with pytest.raises(TrainingError, match="without a special token"):
        load_chat_format(changed_student(template))


def test_a_template_that_changes_the_prompt_once_it_is_answered_is_refused(changed_student):
    template = (
        "{{ messages | length }}{% for message in messages %}<|im_start|>{{ message.role }}\n"
        "{{ message.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    chat = load_chat_format(changed_student(template))
    with pytest.raises(TrainingError, match=r"row row-1: .* changes the prompt"):
        chat.training_row(question("moo", "cow"))


def test_a_folder_without_a_tokenizer_is_named(tmp_path):
    with pytest.raises(TrainingError, match="no tokenizer that can be read"):
        load_chat_format(tmp_path)
