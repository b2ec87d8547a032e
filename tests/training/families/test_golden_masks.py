"""What each family is shown and what it trains on, letter for letter.

`¦` stands where training begins; tools are declared before what is shown here.
"""

import pytest

from distil_dagster.config.catalogue import students
from distil_dagster.errors import TrainingError
from distil_dagster.training.formatting import IGNORED
from distil_dagster.training.mask_audit import audit_masks

LLAMA_TEXT = (
    "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
    "Today Date: 26 Jul 2024\n\nName the desk.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n"
    "My bill is wrong.<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n¦the bills<|eot_id|>"
)
LLAMA_ASKED = "\n\nWe are 4.<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
LLAMA_CALL = '{"name": "find_boat", "parameters": {"seats": 4}}<|eot_id|>'
LLAMA = {
    "text": [LLAMA_TEXT],
    "tool": [f"{LLAMA_ASKED}¦{LLAMA_CALL}"],
    "conversation": [
        f"{LLAMA_ASKED}¦{LLAMA_CALL}",
        f'{LLAMA_ASKED}{LLAMA_CALL}<|start_header_id|>ipython<|end_header_id|>\n\n"Ann\'s"<|eot_id|>'
        "<|start_header_id|>user<|end_header_id|>\n\nFine.<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
        '¦{"name": "hire_boat", "parameters": {"boat": "Ann\'s \\"Sea\\""}}<|eot_id|>',
    ],
}

GEMMA = {
    "text": [
        "<bos><start_of_turn>user\nName the desk.\n\nMy bill is wrong.<end_of_turn>\n<start_of_turn>model\n"
        "¦the bills<end_of_turn>"
    ]
}
FUNCTION_GEMMA_ASKED = "<end_of_turn>\n<start_of_turn>user\nWe are 4.<end_of_turn>\n<start_of_turn>model\n"
FUNCTION_GEMMA_CALL = "<start_function_call>call:find_boat{seats:4}<end_function_call>"
FUNCTION_GEMMA = {
    "text": [
        "<bos><start_of_turn>developer\nName the desk.<end_of_turn>\n<start_of_turn>user\n"
        "My bill is wrong.<end_of_turn>\n<start_of_turn>model\n¦the bills<end_of_turn>"
    ],
    "tool": [f"{FUNCTION_GEMMA_ASKED}¦{FUNCTION_GEMMA_CALL}<start_function_response>"],
    "conversation": [
        f"{FUNCTION_GEMMA_ASKED}¦{FUNCTION_GEMMA_CALL}<start_function_response>",
        f"{FUNCTION_GEMMA_ASKED}{FUNCTION_GEMMA_CALL}<start_function_response>"
        "response:find_boat{value:<escape>Ann's<escape>}<end_function_response>Fine.<end_of_turn>\n<start_of_turn>model\n"
        '¦<start_function_call>call:hire_boat{boat:<escape>Ann\'s "Sea"<escape>}<end_function_call>'
        "<start_function_response>",
    ],
}

CHATML_TEXT = "<|im_start|>system\nName the desk.<|im_end|>\n<|im_start|>user\nMy bill is wrong.<|im_end|>\n"
CHATML_ASKED = "<|im_end|>\n<|im_start|>user\nWe are 4.<|im_end|>\n<|im_start|>assistant\n"
NO_THINKING = "<think>\n\n</think>\n\n"
QWEN_CALL = '<tool_call>\n{"name": "find_boat", "arguments": {"seats": 4}}\n</tool_call><|im_end|>'
QWEN_AGREED = (
    f"{CHATML_ASKED}{QWEN_CALL}\n<|im_start|>user\n<tool_response>\nAnn's\n</tool_response><|im_end|>\n"
    "<|im_start|>user\nFine.<|im_end|>\n<|im_start|>assistant\n"
)
QWEN_SECOND_CALL = (
    '<tool_call>\n{"name": "hire_boat", "arguments": {"boat": "Ann\'s \\"Sea\\""}}\n</tool_call><|im_end|>'
)
QWEN = {
    "text": [f"{CHATML_TEXT}<|im_start|>assistant\n{NO_THINKING}¦the bills<|im_end|>"],
    "tool": [f"{CHATML_ASKED}{NO_THINKING}¦{QWEN_CALL}"],
    "conversation": [f"{CHATML_ASKED}{NO_THINKING}¦{QWEN_CALL}", f"{QWEN_AGREED}{NO_THINKING}¦{QWEN_SECOND_CALL}"],
}
QWEN_2507 = {kind: [golden.replace(NO_THINKING, "") for golden in goldens] for kind, goldens in QWEN.items()}

LFM_CALL = "<|tool_call_start|>[find_boat(seats=4)]<|tool_call_end|><|im_end|>"
LFM_SECOND_CALL = "<|tool_call_start|>[hire_boat(boat='Ann\\'s \"Sea\"')]<|tool_call_end|><|im_end|>"
LFM25 = {
    "text": [f"<|startoftext|>{CHATML_TEXT}<|im_start|>assistant\n¦the bills<|im_end|>"],
    "tool": [f"{CHATML_ASKED}¦{LFM_CALL}"],
    "conversation": [
        f"{CHATML_ASKED}¦{LFM_CALL}",
        f"{CHATML_ASKED}{LFM_CALL}\n<|im_start|>tool\nAnn's<|im_end|>\n<|im_start|>user\nFine.<|im_end|>\n"
        f"<|im_start|>assistant\n¦{LFM_SECOND_CALL}",
    ],
}
LFM2 = LFM25 | {
    "conversation": [
        golden.replace("tool\nAnn's", "tool\n<|tool_response_start|>Ann's<|tool_response_end|>")
        for golden in LFM25["conversation"]
    ]
}

GOLDEN = {
    "llama-3.1": LLAMA,
    "llama-3.2": LLAMA,
    "smollm2": {"text": [f"{CHATML_TEXT}<|im_start|>assistant\n¦the bills<|im_end|>"]},
    "functiongemma": FUNCTION_GEMMA,
    "gemma-3": GEMMA,
    "gemma-3-vision": GEMMA,
    "qwen3": QWEN,
    "qwen3-2507": QWEN_2507,
    "lfm2": LFM2,
    "lfm2-v2": LFM2,
    "lfm2.5": LFM25,
    "lfm2.5-v2": LFM25,
}
CASES = [
    (name, kind)
    for name, student in students().items()
    for kind in (("text", "tool", "conversation") if student.tool_format else ("text",))
]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_exactly_the_answer_and_its_end_are_trained(name, kind, shape_of_student, load_chat, rows_of):
    chat, rows = load_chat(shape_of_student[name]), rows_of(kind)
    goldens = GOLDEN[shape_of_student[name]][kind]
    for row, golden in zip(rows, goldens, strict=True):
        prompt, target = golden.split("¦")
        tokens = chat.training_row(row)
        begin = len(chat.prompt_ids(row))
        whole = chat.decode(tokens.input_ids)
        assert whole.endswith(prompt + target)
        assert kind != "text" or whole == prompt + target
        assert tokens.labels[:begin] == [IGNORED] * begin
        assert tokens.labels[begin:] == tokens.input_ids[begin:]
        assert chat.decode(tokens.labels[begin:]) == target
        assert tokens.labels[-1] in chat.stop_ids
        assert not chat.stop_ids & set(tokens.labels[begin:-1])
    assert audit_masks(rows, [chat.training_row(row) for row in rows], chat).unreadable_calls == 0


@pytest.mark.parametrize("shape", ["llama-3.1", "llama-3.2", "functiongemma", "gemma-3", "lfm2", "lfm2.5"])
def test_a_conversation_begins_with_its_first_token_once(shape, load_chat, rows_of):
    chat = load_chat(shape)
    bos = chat.tokenizer.bos_token_id
    assert chat.tokenizer("a text")["input_ids"][0] == bos
    for row in (*rows_of("text"), *rows_of("conversation")) if chat.family.tool_format else rows_of("text"):
        ids = chat.training_row(row).input_ids
        assert (ids[0], ids.count(bos)) == (bos, 1)


def test_qwen_does_not_think_whoever_asks_and_whatever_came_before(load_chat, rows_of):
    chat = load_chat("qwen3")
    _, later = rows_of("conversation")
    asked = {"add_generation_prompt": True, "tokenize": False, "tools": list(later.tools)}
    prompts = [
        chat.tokenizer.apply_chat_template(list(later.prompt), **asked, **switch)
        for switch in ({}, {"enable_thinking": True}, {"enable_thinking": False})
    ]
    assert set(prompts) == {chat.prompt_text(later)}
    assert prompts[0].count(NO_THINKING) == 1


def test_a_tools_result_answered_at_once_is_a_prompt_that_its_answer_goes_on_from(load_chat, rows_of):
    """Between a call and the next there need not be a user: Qwen's template then writes the calls otherwise."""
    _, later = rows_of("conversation")
    without_user = later.model_copy(update={"prompt": later.prompt[:-1]})
    for shape in ("llama-3.2", "functiongemma", "qwen3", "qwen3-2507", "lfm2", "lfm2-v2", "lfm2.5"):
        chat = load_chat(shape)
        assert audit_masks([without_user], [chat.training_row(without_user)], chat).rows == 1


def test_llamas_prompt_names_the_same_day_every_day(load_chat, rows_of):
    chat, (row,) = load_chat("llama-3.2"), rows_of("text")
    asked = {"add_generation_prompt": True, "tokenize": False, "date_string": "01 Jan 2030"}
    assert chat.tokenizer.apply_chat_template(list(row.prompt), **asked) == chat.prompt_text(row)


def test_a_conversation_that_a_template_refuses_is_named(load_chat, rows_of):
    (row,) = rows_of("text")
    twice = row.model_copy(update={"prompt": (*row.prompt, {"role": "user", "content": "And again."})})
    with pytest.raises(TrainingError, match=r"row 1: .* refuses the conversation: Conversation roles must alternate"):
        load_chat("gemma-3").prompt_ids(twice)
