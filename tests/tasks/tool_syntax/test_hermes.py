import pytest
from hypothesis import given, settings
from tool_calls import TEXTS, calls, exactly, written_by_template

from distil_dagster.data.messages import ToolCall
from distil_dagster.tasks.tool_syntax import NoCalls, parse_calls, render_calls

BOOK = '<tool_call>\n{"name": "book_table", "arguments": {"guests": 4}}\n</tool_call>'
BOOKED = [ToolCall(name="book_table", arguments={"guests": 4})]


def test_a_block_is_written_for_each_call():
    paid = ToolCall(name="pay", arguments={"note": "größer"})
    assert render_calls("hermes", [*BOOKED, paid]) == (
        f'{BOOK}\n<tool_call>\n{{"name": "pay", "arguments": {{"note": "größer"}}}}\n</tool_call>'
    )


@settings(deadline=None)
@given(calls(argument_names=TEXTS))
def test_what_is_written_is_read_back(written):
    assert exactly(parse_calls(render_calls("hermes", written))) == exactly(written)


@pytest.mark.parametrize("template", ["qwen3", "qwen3_instruct_2507"])
@settings(deadline=None, max_examples=50)
@given(tool_calls=calls())
def test_calls_are_written_as_qwens_templates_write_them(template, tool_calls):
    written = written_by_template(template, tool_calls)
    assert written.removesuffix("<|im_end|>\n").endswith(render_calls("hermes", tool_calls))
    assert exactly(parse_calls(written)) == exactly(tool_calls)


@pytest.mark.parametrize(
    "text",
    [
        f"Let me see.\n{BOOK}\nThat should do.",
        f"<think>\nA table: <tool_call>?\n</think>\n\n{BOOK}<|im_end|>",
        "<tool_call>{'no': 1}</tool_call>".replace("{'no': 1}", '{"name": "book_table", "parameters": {"guests": 4}}'),
        '<tool_call>{"name": "book_table", "arguments": "{\\"guests\\": 4}"}</tool_call>',
        BOOK.removesuffix("\n</tool_call>"),
        BOOK.replace("</tool_call>", "<|im_end|>"),
    ],
)
def test_prose_thinking_other_keys_and_a_missing_end_tag_are_forgiven(text):
    assert parse_calls(text) == BOOKED


def test_tags_inside_a_text_are_text():
    call = ToolCall(name="say", arguments={"message": "</tool_call><tool_call>{}</tool_call><think>"})
    assert parse_calls(render_calls("hermes", [call])) == [call]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<tool_call>\nbook_table(4)\n</tool_call>", "not JSON"),
        ('<tool_call>\n{"name": "book_table", "argu', "not JSON"),
        (f'{BOOK}\n<tool_call>\n{{"name"}}\n</tool_call>', "not JSON"),
        ('<tool_call>{"name": "a", "arguments": {}} and so on</tool_call>', "'</tool_call>' is missing"),
        ('<tool_call>{"arguments": {}}</tool_call>', "without a name"),
        ("<tool_call>[]</tool_call>", "without a call"),
    ],
)
def test_a_block_that_is_no_call_is_a_problem_even_beside_a_good_one(text, problem):
    assert problem in parse_calls(text).problem


def test_thinking_that_does_not_end_holds_no_calls():
    assert parse_calls(f"<think>I would write {BOOK}") == NoCalls("the text ends before its thinking does")
