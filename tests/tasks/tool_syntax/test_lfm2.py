import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tool_calls import NAMES, PYTHON_KEYWORDS, TAGS, calls, exactly, json_values, written_by_template

from distil_dagster.data.messages import ToolCall
from distil_dagster.tasks.tool_syntax import parse_calls, render_calls

START, END = "<|tool_call_start|>", "<|tool_call_end|>"
NAMES_THAT_CAN_BE_CARRIED = NAMES | PYTHON_KEYWORDS | st.sampled_from(["$filter", "@type", "größe", "x:y"])
# LFM2.5's template escapes nothing: what it writes is unambiguous without these.
TEXTS_WITHOUT_QUOTES = st.text(st.characters(exclude_characters="'\"\\", exclude_categories=["Cs"]), max_size=20)


def call_of(**arguments: object) -> ToolCall:
    return ToolCall(name="book_table", arguments=arguments)


def parse_arguments(written: str) -> object:
    (call,) = parse_calls(f"{START}[book_table({written})]{END}")
    return call.arguments


def test_calls_are_written_as_a_list_in_one_block():
    written = render_calls(
        "lfm2", [call_of(guests=4, name="O'Hara\r\n\\"), call_of(), call_of(tags=["a"], open=True, to=None)]
    )
    assert written == (
        "<|tool_call_start|>[book_table(guests=4, name='O\\'Hara\\r\\n\\\\'), book_table(), "
        'book_table(tags=["a"], open=True, to=None)]<|tool_call_end|>'
    )


@settings(deadline=None)
@given(calls(argument_names=NAMES_THAT_CAN_BE_CARRIED))
def test_what_is_written_is_read_back(written):
    assert exactly(parse_calls(render_calls("lfm2", written))) == exactly(written)


@settings(deadline=None, max_examples=50)
@given(calls())
def test_calls_are_written_as_lfm2s_template_writes_them(tool_calls):
    assert written_by_template("lfm2_v2", tool_calls) == render_calls("lfm2", tool_calls) + "<|im_end|>\n"


@settings(deadline=None, max_examples=50)
@given(calls(texts=TEXTS_WITHOUT_QUOTES, keys=TEXTS_WITHOUT_QUOTES))
def test_what_lfm2_5s_template_writes_is_read(tool_calls):
    assert exactly(parse_calls(written_by_template("lfm2_2_5_v2", tool_calls))) == exactly(tool_calls)


@settings(deadline=None)
@given(json_values())
def test_python_literals_are_read_as_python_reads_them(value):
    written = repr([value])
    assert exactly([call_of(value=parse_arguments(f"value={written}")["value"][0])]) == exactly([call_of(value=value)])


@pytest.mark.parametrize(
    ("written", "arguments"),
    [
        ("", {}),
        ("a=1, b=-2.5e3, c=.5, d=+1, e=007", {"a": 1, "b": -2500.0, "c": 0.5, "d": 1, "e": 7}),
        ("a=True, b=true, c=None, d=null, e=false", {"a": True, "b": True, "c": None, "d": None, "e": False}),
        ("a='x', b=\"y\", c='''z''', ", {"a": "x", "b": "y", "c": "z"}),
        ("a=[1, 'x', [ ], (2, 3,)], b={'k': {\"l\": None}}", {"a": [1, "x", [], [2, 3]], "b": {"k": {"l": None}}}),
        (r"a='\u00e9\x41\t\\n\'\d', b='\U0001f388', c='\ud83c\udf88'", {"a": "éA\t\\n'\\d", "b": "🎈", "c": "🎈"}),
        ("a='first\nsecond'", {"a": "first\nsecond"}),
        ("from='Oslo', to='Bergen', class='economy'", {"from": "Oslo", "to": "Bergen", "class": "economy"}),
    ],
)
def test_literals_keywords_as_names_and_real_newlines_are_read(written, arguments):
    assert exactly([call_of(**parse_arguments(written))]) == exactly([call_of(**arguments)])


@pytest.mark.parametrize(
    ("written", "arguments"),
    [
        ("message='I'm afraid it's full.'", {"message": "I'm afraid it's full."}),
        ("message='the 'blue', or 'red' one', guests=4", {"message": "the 'blue', or 'red' one", "guests": 4}),
        ("message='we close (at 'ten')', guests=4", {"message": "we close (at 'ten')", "guests": 4}),
        ("tags=['it's', 'b']", {"tags": ["it's", "b"]}),
    ],
)
def test_quotes_that_are_not_escaped_are_read_where_the_end_of_the_text_is_plain(written, arguments):
    assert parse_arguments(written) == arguments


@given(st.sampled_from(TAGS))
@example(f"')]{END}")
def test_tags_inside_a_text_are_text(tag):
    assert parse_calls(render_calls("lfm2", [call_of(name=tag)])) == [call_of(name=tag)]


@pytest.mark.parametrize(
    "text",
    [
        f"Sure! {START}[book_table(guests=4)]{END}Done.",
        f"{START}[book_table(guests=4)]{END}[book_table(guests=4)]{END}<|im_end|>",
        f"{START}book_table(guests=4){END}",
        f"{START}\n[ book_table( guests = 4 ) ]\n",
        f'{START}[{{"name": "book_table", "arguments": {{"guests": 4}}}}]{END}',
        f'{START}{{"name": "book_table", "parameters": {{"guests": 4}}}}{END}',
    ],
)
def test_prose_echoes_missing_brackets_and_json_are_forgiven(text):
    assert parse_calls(text) == [call_of(guests=4)]


def test_several_calls_in_one_block_or_in_several_are_read_in_order():
    text = f"{START}[first(), my-tools.second(a=1)]{END} {START}[third()]{END}"
    assert [call.name for call in parse_calls(text)] == ["first", "my-tools.second", "third"]


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("book_table(4)", "'=' is missing"),
        ("book_table(guests=four)", "'four' is neither a number nor a constant"),
        ("book_table(guests=2 + 2)", "')' is missing"),
        ("book_table(guests=nan)", "neither a number"),
        ("book_table(guests=1e999)", "not JSON compliant"),
        ("book_table(guests=)", "a value is missing"),
        ("book_table(name='Ada)", "does not end"),
        ("book_table(name={1: 2})", "a key in quotes is missing"),
        (r"book_table(name='\ud83c')", "decode"),
        ("book_table(guests=4", "')' is missing"),
        ("__import__('os').system('ls')", "the name of an argument is missing"),
        ("", "the name of a tool is missing"),
        ("[]", "without a call"),
        (f"book_table(guests={'9' * 5000})", "limit"),
    ],
)
def test_what_is_no_call_of_literals_is_a_problem(written, problem):
    assert problem in parse_calls(f"{START}{written}{END}").problem
