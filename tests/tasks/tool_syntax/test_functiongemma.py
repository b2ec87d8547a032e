import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tool_calls import TEXTS, calls, exactly

from distil_dagster.data.messages import ToolCall
from distil_dagster.tasks.tool_syntax import parse_calls, render_calls

START, END = "<start_function_call>", "<end_function_call>"
BOOKED = ToolCall(name="book_table", arguments={"guests": 4, "name": "Ada"})
TEXTS_THAT_CAN_BE_CARRIED = TEXTS.filter(lambda text: "<escape>" not in text)
KEYS_THAT_CAN_BE_CARRIED = TEXTS.filter(lambda key: key and key == key.strip() and not set(key) & set(":,{}[]<"))


def parse_arguments(written: str) -> dict[str, object]:
    (call,) = parse_calls(f"{START}call:book_table{{{written}}}{END}")
    return call.arguments


def test_calls_are_written_with_bare_sorted_keys_and_escape_tokens_for_quotes():
    call = ToolCall(
        name="book_table",
        arguments={"name": "O'Hara, {Ada}", "Guests": 4, "ok": True, "to": None, "b": {"z": [1.5, "x"], "a": {}}},
    )
    assert render_calls("functiongemma", [call, ToolCall(name="pay")]) == (
        "<start_function_call>call:book_table{b:{a:{},z:[1.5,<escape>x<escape>]},Guests:4,"
        "name:<escape>O'Hara, {Ada}<escape>,ok:true,to:None}<end_function_call>"
        "<start_function_call>call:pay{}<end_function_call>"
    )


@settings(deadline=None)
@given(
    calls(
        texts=TEXTS_THAT_CAN_BE_CARRIED,
        argument_names=KEYS_THAT_CAN_BE_CARRIED,
        keys=KEYS_THAT_CAN_BE_CARRIED,
    )
)
def test_what_is_written_is_read_back(written):
    assert exactly(parse_calls(render_calls("functiongemma", written))) == exactly(written)


@pytest.mark.parametrize(
    "text",
    [
        f"{START}call:book_table{{guests:4,name:<escape>Ada<escape>}}{END}",
        f"{START}call:book_table{{guests:4,name:<escape>Ada<escape>}}{END}<start_function_response>",
        f"Yes. {START}call:book_table{{name:<escape>Ada<escape>,guests:4}}{END} Done.<end_of_turn>",
        f"{START}\ncall:book_table{{ guests: 4, <escape>name<escape>: <escape>Ada<escape> }}\n{END}",
        f"{START}call:book_table{{guests:4,name:Ada}}",
    ],
)
def test_prose_spaces_quoted_keys_bare_texts_and_a_missing_end_are_forgiven(text):
    assert parse_calls(text) == [BOOKED]


def test_a_text_in_escape_tokens_stays_a_text_to_the_last_space():
    assert parse_arguments("a:<escape> 4 <escape>,b:<escape><escape>,c:<escape>null<escape>") == {
        "a": " 4 ",
        "b": "",
        "c": "null",
    }


def test_bare_words_are_constants_and_numbers_or_else_texts():
    constants = parse_arguments("a:true,b:False,c:null,d:None")
    assert constants == {"a": True, "b": False, "c": None, "d": None}
    others = parse_arguments("e:-1.5e2,f:New York,g:[1,x],h:{i:0}")
    assert others == {"e": -150.0, "f": "New York", "g": [1, "x"], "h": {"i": 0}}


@given(st.sampled_from([END, f"{END}{START}call:pay{{}}{END}", "}", "<tool_call>", "<|python_tag|>"]))
def test_tags_inside_a_text_are_text(tag):
    call = ToolCall(name="say", arguments={"message": tag})
    assert parse_calls(render_calls("functiongemma", [call])) == [call]


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("book_table{guests:4}", "'call:' is missing"),
        ("call:{guests:4}", "the name of a tool is missing"),
        ("call:book_table(guests=4)", "'{' is missing"),
        ("call:book_table{4}", "':' is missing"),
        ("call:book_table{:4}", "the name of an argument is missing"),
        ("call:book_table{guests:}", "a value is missing"),
        ("call:book_table{guests:4", "'}' is missing"),
        ("call:book_table{name:<escape>Ada}", "does not end in '<escape>'"),
        ("call:book_table{guests:1e999}", "not JSON compliant"),
    ],
)
def test_what_is_no_call_is_a_problem(written, problem):
    assert problem in parse_calls(f"{START}{written}{END}").problem
