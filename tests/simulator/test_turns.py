import json

from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.simulator.turns import Turn, last_said, said, turns_of

CALL = {"name": "say", "parameters": {"message": "Hi", "to": "all"}}


def called(arguments):
    function = {"name": "say", "arguments": arguments}
    return {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": function}]}


def assistant(content):
    return {"role": "assistant", "content": content}


def test_a_call_is_the_same_turn_in_every_form_that_shows_it():
    parameters = {"to": "all", "message": "Hi"}
    forms = [
        called(parameters),
        called(json.dumps(parameters)),
        assistant(json.dumps({"name": "say", "parameters": parameters})),
        assistant(json.dumps({"answer": {"name": "say", "parameters": parameters}})),
    ]
    assert set(turns_of(forms)) == {Turn("assistant", json.dumps(CALL, sort_keys=True))}


def test_a_text_answer_is_the_same_bare_or_in_a_field():
    assert turns_of([assistant('{"answer": "lost_card"}')]) == turns_of([assistant("lost_card")])


def test_several_calls_and_broken_arguments_are_kept_as_they_are():
    (several,) = turns_of([called({"message": "1"}) | {"tool_calls": called("{")["tool_calls"] * 2}])
    assert json.loads(several.text) == [{"name": "say", "parameters": "{"}] * 2


def test_a_tools_result_is_the_same_turn_with_or_without_a_block_around_it():
    shown = {"role": "user", "content": "<tool_result>\n{}\n</tool_result>"}
    assert turns_of([shown]) == turns_of([{"role": "tool", "content": "{}"}]) == (Turn("tool", "{}"),)


def test_the_systems_messages_are_no_turns():
    assert turns_of([{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]) == (Turn("user", "u"),)


def test_what_was_said_leaves_the_assistant_out():
    turns = (Turn("user", "One ?"), Turn("assistant", "x"), Turn("tool", "TWO"), Turn("assistant", "y"))
    assert said(turns) == "one?\ntwo"
    assert last_said(turns) == "TWO"
    assert (said(()), last_said(())) == ("", "")


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["role", "content", "tool_calls"]),
            st.one_of(
                st.sampled_from(["user", "assistant", "tool"]),
                st.none(),
                st.text(max_size=20),
                st.lists(
                    st.dictionaries(st.sampled_from(["function", "text"]), st.text(max_size=5), max_size=2), max_size=2
                ),
            ),
        ),
        max_size=4,
    )
)
def test_no_messages_break_the_reading_of_turns(messages):
    assert len(turns_of(messages)) <= len(messages)
