from dataclasses import replace

import pytest

from distil_dagster.errors import TrainingError
from distil_dagster.training.formatting import IGNORED, load_chat_format
from distil_dagster.training.mask_audit import audit_masks
from distil_dagster.training.preparing import rows_by_example
from distil_dagster.training.rows import ChatRow

GOLDEN = """\
| row | not trained (end) | trained | tokens trained |
|---|---|---|---|
| `1` | `…<|im_start|>user⏎woof<|im_end|>⏎<|im_start|>assistant⏎` | `dog<|im_end|>` | 2 of {length} |
"""


@pytest.fixture(scope="module")
def chat(student):
    return load_chat_format(student)


def row(answer="dog", **message):
    return ChatRow(
        id="1",
        prompt=({"role": "user", "content": "woof"},),
        completion=({"role": "assistant", "content": answer, **message},),
    )


def test_the_audit_counts_and_shows_what_is_trained(chat):
    tokens = chat.training_row(row())
    audit = audit_masks([row()], [tokens], chat)
    assert (audit.rows, audit.trained_tokens, audit.all_tokens) == (1, 2, len(tokens.input_ids))
    assert audit.table == GOLDEN.replace("<|", "<\\|").replace("|>", "\\|>").format(length=len(tokens.input_ids))
    assert str(audit).endswith(f"2 of {audit.all_tokens} tokens trained, all of them the target")


def test_the_audit_shows_three_rows_and_checks_all(chat, rows):
    formatted = [chat.training_row(given) for given in rows]
    assert audit_masks(rows, formatted, chat).table.count("\n") == 2 + 3
    formatted[20] = formatted[21]
    with pytest.raises(TrainingError, match="row row-20: training leaves out"):
        audit_masks(rows, formatted, chat)


def shifted(tokens):
    return replace(tokens, labels=[*tokens.labels[1:], IGNORED])


def prompt_too(tokens):
    at = tokens.labels.index(IGNORED)
    return replace(tokens, labels=[*tokens.labels[:at], tokens.input_ids[at], *tokens.labels[at + 1 :]])


def without_end(tokens):
    return replace(tokens, labels=[*tokens.labels[:-1], IGNORED])


def more_than_the_end(tokens):
    return replace(tokens, input_ids=[*tokens.input_ids, 65], labels=[*tokens.labels, 65])


def nothing(tokens):
    return replace(tokens, labels=[IGNORED] * len(tokens.labels))


def of_another_row(tokens):
    return replace(
        tokens,
        input_ids=[*tokens.input_ids[:-2], 65, tokens.input_ids[-1]],
        labels=[*tokens.labels[:-2], 65, tokens.labels[-1]],
    )


@pytest.mark.parametrize("spoil", [shifted, prompt_too, without_end, more_than_the_end, nothing, of_another_row])
def test_whatever_is_wrong_with_a_mask_is_found(chat, spoil):
    with pytest.raises(TrainingError, match="row 1: "):
        audit_masks([row()], [spoil(chat.training_row(row()))], chat)


def test_the_error_shows_both_texts(chat):
    with pytest.raises(TrainingError, match=r"trains on 'dog<\|im_end\|>' where it should be 'cow<\|im_end\|>'"):
        audit_masks([row("cow")], [chat.training_row(row("dog"))], chat)


@pytest.mark.parametrize("written", ["dog", " dog", "dog "])
def test_a_template_may_strip_the_space_around_an_answer(chat, written):
    assert audit_masks([row(" dog ")], [chat.training_row(row(written))], chat).rows == 1


@pytest.mark.parametrize("written", ["do", "dog  ", "  dog", "d og", ""])
def test_a_template_may_neither_add_space_nor_take_anything_else(chat, written):
    with pytest.raises(TrainingError, match="row 1: training trains on"):
        audit_masks([row(" dog ")], [chat.training_row(row(written))], chat)


def test_a_call_of_a_tool_must_be_in_what_is_trained(chat):
    call = {"type": "function", "function": {"name": "lock", "arguments": {}}}
    calling = row("", tool_calls=[call])
    assert audit_masks([calling], [chat.training_row(calling)], chat).rows == 1
    chat.tokenizer.chat_template, whole = (
        chat.tokenizer.chat_template.replace("tool_calls", "nothing"),
        chat.tokenizer.chat_template,
    )
    try:
        with pytest.raises(TrainingError, match=r"row 1: .* leaves out the call of lock"):
            audit_masks([calling], [chat.training_row(calling)], chat)
    finally:
        chat.tokenizer.chat_template = whole


def test_a_call_that_the_template_writes_otherwise_is_found(chat, monkeypatch):
    call = {"type": "function", "function": {"name": "lock", "arguments": {"door": "front"}}}
    calling = row("", tool_calls=[call])
    spoilt = chat.tokenizer.chat_template.replace(
        "call['function'] | tojson", "{'name': 'lock', 'arguments': {}} | tojson"
    )
    assert spoilt != chat.tokenizer.chat_template
    monkeypatch.setattr(chat.tokenizer, "chat_template", spoilt)
    with pytest.raises(TrainingError, match=r"row 1: .* changes the call of a tool"):
        audit_masks([calling], [chat.training_row(calling)], chat)


def test_a_few_calls_that_cannot_be_read_again_are_counted_and_borne(chat):
    def calling(arguments):
        return row("", tool_calls=[{"type": "function", "function": {"name": "lock", "arguments": arguments}}])

    given = [calling({}), calling({"door": "front"}), calling("not an object")]
    audit = audit_masks(given, [chat.training_row(each) for each in given], chat)
    assert audit.unreadable_calls == 1
    assert "1 calls do not read back" in str(audit)


def test_every_call_of_a_conversation_is_audited_with_its_tools(tiny_student, boat_task, boat_hire):
    chat = load_chat_format(tiny_student)
    given = [row for rows in rows_by_example(boat_task, [boat_hire(2)]) for row in rows]
    audit = audit_masks(given, [chat.training_row(row) for row in given], chat)
    assert audit.rows == 2
    assert "hire_boat" in audit.table
