import json
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distil_dagster.data.messages import ToolCall
from distil_dagster.errors import TrainingError
from distil_dagster.tasks.tool_syntax import parse_calls, render_calls
from distil_dagster.training.formatting import IGNORED, load_chat_format, pin_template, with_calls
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


def test_a_template_that_refuses_a_question_and_its_answer_is_named_with_its_reason(changed_student):
    with pytest.raises(TrainingError, match=r"cannot write a question and its answer: for pictures only"):
        load_chat_format(changed_student("{{ raise_exception('for pictures only') }}"))


def test_a_conversation_that_the_template_refuses_is_an_error_that_names_the_row(changed_student):
    template = (
        "{% for message in messages %}{% if message.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    chat = load_chat_format(changed_student(template))
    assert chat.decode(chat.training_row(question("moo", "cow")).trained_ids) == "cow<|im_end|>"
    with pytest.raises(TrainingError, match=r"row row-1: .* refuses the conversation: no system"):
        chat.prompt_ids(CALLING)


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


LOCK = {"type": "function", "function": {"name": "lock", "arguments": {"door": "front"}}}
LOCK_TOOL = {"type": "function", "function": {"name": "lock", "parameters": {"type": "object", "properties": {}}}}
CALLING = ChatRow(
    id="row-1",
    prompt=(
        {"role": "system", "content": "Mind the house."},
        {"role": "user", "content": "lock up"},
        {"role": "assistant", "content": "", "tool_calls": [LOCK]},
        {"role": "tool", "content": "done"},
        {"role": "tool", "content": "really"},
        {"role": "user", "content": "and again"},
    ),
    completion=({"role": "assistant", "content": "", "tool_calls": [LOCK]},),
    tools=(LOCK_TOOL,),
)


def test_tools_calls_and_results_of_a_conversation_are_in_the_prompt_as_they_will_be_asked(tiny_student):
    chat = load_chat_format(tiny_student)
    prompt, tokens = chat.prompt_text(CALLING), chat.training_row(CALLING)
    assert prompt.startswith("<|im_start|>system\nMind the house.\n\n# Tools")
    assert prompt.count("<|im_start|>system") == 1
    assert (
        '<|im_start|>assistant\n<tool_call>\n{"name": "lock", "arguments": {"door": "front"}}\n</tool_call><|im_end|>'
        in prompt
    )
    assert (
        "<|im_start|>user\n<tool_response>\ndone\n</tool_response>\n<tool_response>\nreally\n</tool_response><|im_end|>\n"
        in prompt
    )
    assert tokens.input_ids[: len(chat.prompt_ids(CALLING))] == chat.prompt_ids(CALLING)
    assert chat.decode(tokens.trained_ids).endswith("</tool_call><|im_end|>")


GEMMA_LIKE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}"
    "{% if message.tool_calls %}{% for call in message.tool_calls %}call:{{ call.function.name }}{% endfor %}<|pad|>"
    "{% else %}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def test_a_call_may_end_in_another_token_than_a_text(changed_student):
    chat = load_chat_format(changed_student(GEMMA_LIKE))
    assert chat.decode(chat.training_row(CALLING).trained_ids) == "call:lock<|pad|>"
    assert chat.decode(chat.training_row(question("moo", "cow")).trained_ids) == "cow<|im_end|>"
    assert chat.end_of_call_id == chat.tokenizer.convert_tokens_to_ids("<|pad|>") != chat.end_of_turn_id


def test_where_a_template_knows_no_calls_they_would_end_as_texts_do(changed_student):
    template = (
        "{% for message in messages %}{% if message.tool_calls %}{{ raise_exception('no calls') }}{% endif %}"
        "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    chat = load_chat_format(changed_student(template))
    assert chat.end_of_call_id == chat.end_of_turn_id


WITHOUT_CALLS = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


WITH_BARE_TEXTS = WITHOUT_CALLS.replace(
    "{{ message['content'] }}",
    "{{ message['content'] }}{% for call in message['tool_calls'] or [] %}<|tool_call_start|>[{{ call.function.name }}("
    "{% for name, value in call.function.arguments.items() %}{{ name }}='{{ value }}'{% endfor %})]<|tool_call_end|>"
    "{% endfor %}",
)
WITH_ESCAPED_TEXTS = WITH_BARE_TEXTS.replace(
    "{{ value }}", r"""{{ value | replace("\\", "\\\\") | replace("'", "\\'") | replace("\n", "\\n") }}"""
)


@pytest.mark.parametrize("template", [WITHOUT_CALLS, WITH_BARE_TEXTS])
def test_a_template_that_loses_calls_of_its_family_is_made_to_write_them(chat, monkeypatch, template):
    monkeypatch.setattr(chat.tokenizer, "chat_template", template)
    mended = with_calls(chat.tokenizer, "lfm2")
    assert mended != template
    assert mended.endswith(template)
    monkeypatch.setattr(chat.tokenizer, "chat_template", mended)
    assert with_calls(chat.tokenizer, "lfm2") == mended


@pytest.mark.parametrize(
    ("template", "tool_format"), [(WITH_ESCAPED_TEXTS, "lfm2"), (WITHOUT_CALLS, "hermes"), (WITHOUT_CALLS, None)]
)
def test_a_template_that_writes_calls_or_whose_family_has_none_of_its_own_is_left_as_it_is(
    chat, monkeypatch, template, tool_format
):
    monkeypatch.setattr(chat.tokenizer, "chat_template", template)
    assert with_calls(chat.tokenizer, tool_format) == template


@pytest.fixture(params=[WITHOUT_CALLS, WITH_BARE_TEXTS])
def tagged(request, chat, monkeypatch):
    """The student with a template that loses LFM2's calls, as it is mended."""
    monkeypatch.setattr(chat.tokenizer, "chat_template", request.param)
    monkeypatch.setattr(chat.tokenizer, "chat_template", with_calls(chat.tokenizer, "lfm2"))
    return chat


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9999, 9999)
    | st.floats(-9, 9, width=16)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b c", 'd"e']), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(arguments=st.dictionaries(st.sampled_from(["door", "hours", "x_1"]), VALUES))
def test_the_calls_of_a_mended_template_read_back_as_they_were(tagged, arguments):
    call = {"type": "function", "function": {"name": "lock", "arguments": arguments}}
    row = CALLING.model_copy(update={"completion": ({"role": "assistant", "content": "", "tool_calls": [call]},)})
    written = tagged.completion_text(row)
    assert written.startswith("<|tool_call_start|>[lock(")
    assert written.endswith(")]<|tool_call_end|><|im_end|>")
    assert written == render_calls("lfm2", [ToolCall(name="lock", arguments=arguments)]) + "<|im_end|>"
    (read,) = parse_calls(written)
    assert read.as_answer() == {"name": "lock", "parameters": arguments}


def test_a_mended_template_writes_earlier_calls_too(tagged):
    assert (
        "<|im_start|>assistant\n<|tool_call_start|>[lock(door='front')]<|tool_call_end|><|im_end|>"
        in tagged.prompt_text(CALLING)
    )
