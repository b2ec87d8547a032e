import pytest
from hypothesis import given, settings
from tool_calls import TEXTS, calls, exactly, written_by_template

from distil_dagster.data.messages import ToolCall
from distil_dagster.tasks.tool_syntax import parse_calls, render_calls

BOOK = '{"name": "book_table", "parameters": {"guests": 4}}'
BOOKED = ToolCall(name="book_table", arguments={"guests": 4})


@settings(deadline=None)
@given(calls(argument_names=TEXTS))
def test_what_is_written_is_read_back(written):
    assert exactly(parse_calls(render_calls("llama3_json", written))) == exactly(written)


@pytest.mark.parametrize("template", ["llama3_1", "llama3_2"])
@settings(deadline=None, max_examples=50)
@given(tool_calls=calls(most=1))
def test_a_call_is_written_as_llamas_templates_write_it(template, tool_calls):
    written = written_by_template(template, tool_calls)
    assert written == render_calls("llama3_json", tool_calls) + "<|eot_id|>"
    assert exactly(parse_calls(written)) == exactly(tool_calls)


@pytest.mark.parametrize(
    "text",
    [
        BOOK,
        f"{BOOK}<|eot_id|>",
        f"<|python_tag|>{BOOK}<|eom_id|>",
        f"I will book it. <|python_tag|>{BOOK}",
        '{"type": "function", "name": "book_table", "parameters": {"guests": 4}}',
        "<|python_tag|>book_table.call(guests=4)<|eom_id|>",
        "<|python_tag|>book_table(guests=4)",
    ],
)
def test_a_call_may_stand_alone_or_behind_the_python_tag(text):
    assert parse_calls(text) == [BOOKED]


@pytest.mark.parametrize("between", ["; ", ";", "\n", ", "])
@pytest.mark.parametrize("tag", ["", "<|python_tag|>"])
def test_several_calls_have_semicolons_between_them_or_what_models_write_instead(tag, between):
    assert parse_calls(f"{tag}{BOOK}{between}{BOOK}") == [BOOKED, BOOKED]


def test_several_built_in_calls_follow_each_other_too():
    text = '<|python_tag|>web_search.call(query="tables; chairs"); maths.call(formula="2 + 2")'
    assert parse_calls(text) == [
        ToolCall(name="web_search", arguments={"query": "tables; chairs"}),
        ToolCall(name="maths", arguments={"formula": "2 + 2"}),
    ]


def test_quotes_that_the_template_does_not_escape_are_read_as_text():
    text = '<|python_tag|>web_search.call(query="what does "ad hoc" mean", language="en")<|eom_id|>'
    assert parse_calls(text) == [
        ToolCall(name="web_search", arguments={"query": 'what does "ad hoc" mean', "language": "en"})
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<|python_tag|>import os\nprint(os.name)", "'(' is missing"),
        (f"<|python_tag|>{BOOK} There you are.", "not JSON"),
        (f"Here you are: {BOOK}", "neither JSON nor"),
        ("<|python_tag|>", "the name of a tool is missing"),
    ],
)
def test_programs_and_json_in_prose_are_no_calls(text, problem):
    assert problem in parse_calls(text).problem
