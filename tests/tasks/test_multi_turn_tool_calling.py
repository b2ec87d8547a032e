import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from distil_dagster.data.examples import Example
from distil_dagster.data.job import JobDescription
from distil_dagster.data.messages import Message, ToolCall
from distil_dagster.tasks.base import GenerationRequest, Invalid, Shown, Unusable, Valid
from distil_dagster.tasks.multi_turn_tool_calling import MultiTurnToolCalling


def tool(name, properties, required=()):
    parameters = {"type": "object", "properties": properties, "required": list(required)}
    return {"type": "function", "function": {"name": name, "description": f"To {name}.", "parameters": parameters}}


FIND = tool("find_plant", {"colour": {"type": "string"}, "height": {"type": "integer"}}, ["colour"])
ORDER = tool("order_plant", {"plant": {"type": "string"}, "count": {"type": "integer"}}, ["plant"])
ASK = tool("ask_customer", {"message": {"type": "string"}}, ["message"])
JOB = JobDescription(task_description="You sell plants.", tools=(FIND, ORDER, ASK))
TASK = MultiTurnToolCalling(JOB)


def user(text):
    return Message(role="user", content=text)


def says(text):
    return Message(role="assistant", content=text)


def result(text):
    return Message(role="tool", content=text, tool_call_id="call_1")


def call(name, **arguments):
    return Message(role="assistant", tool_calls=(ToolCall(name=name, arguments=arguments),))


def answer(name, **arguments):
    return {"name": name, "parameters": arguments}


WHICH = call("ask_customer", message="Which colour?")
FIND_RED = call("find_plant", colour="red")
ORDER_TWO = call("order_plant", plant="poppy", count=2)
CONVERSATION = (user("Plants."), WHICH, user("Red."), FIND_RED, result('["poppy"]'), ORDER_TWO)
EXAMPLE = Example(messages=CONVERSATION, source="traces.jsonl:4", logged_answers=("Which?", "{}", "Ordered."))
ANSWERS = [
    answer("ask_customer", message="Which colour?"),
    answer("find_plant", colour="red"),
    answer("order_plant", plant="poppy", count=2),
]


def example(*messages):
    return Example(messages=messages)


def test_a_conversation_is_one_row_for_each_call_and_each_row_ends_on_its_call():
    rows = TASK.turns(EXAMPLE)
    assert [row.messages for row in rows] == [CONVERSATION[:2], CONVERSATION[:4], CONVERSATION]
    assert [row.logged_answers for row in rows] == [("Which?",), ("{}",), ("Ordered.",)]
    assert {row.source for row in rows} == {"traces.jsonl:4"}


def test_only_calls_that_answer_a_user_are_rows():
    rows = TASK.turns(example(call("find_plant"), user("a"), says("b"), user("c"), FIND_RED))
    assert [len(row.messages) for row in rows] == [5]
    assert TASK.turns(example(user("a"), says("b"))) == []


def test_rows_without_a_log_have_no_logged_answers():
    assert [row.logged_answers for row in TASK.turns(example(*CONVERSATION))] == [(), (), ()]


def test_the_student_sees_the_whole_history_as_calls_and_results():
    prompt = TASK.prompt(EXAMPLE)
    assert [message["role"] for message in prompt] == ["system", "user", "assistant", "user", "assistant", "tool"]
    assert prompt[0]["content"] == "You sell plants."
    assert prompt[4] == {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "function": {"name": "find_plant", "arguments": {"colour": "red"}}}],
    }
    assert prompt[5] == {"role": "tool", "content": '["poppy"]', "name": "find_plant"}


def test_what_is_asked_is_the_conversation_before_the_answer():
    asked = json.loads(TASK.question_text(EXAMPLE))
    assert [message["role"] for message in asked] == ["user", "assistant", "user", "assistant", "tool"]


def test_likeness_is_that_of_user_turns_and_calls():
    assert TASK.similarity_text(EXAMPLE).split("\n") == [
        "Plants.",
        json.dumps(ANSWERS[0]),
        "Red.",
        json.dumps(ANSWERS[1]),
        json.dumps(ANSWERS[2]),
    ]


def test_labels_are_all_tools_called_in_order_of_their_first_use():
    again = example(*CONVERSATION, user("More."), FIND_RED)
    assert TASK.labels_in(again) == ("ask_customer", "find_plant", "order_plant")


def test_a_sound_conversation_is_valid_with_results_as_turns_of_user_or_tool():
    assert TASK.validate(EXAMPLE, 1000) == Valid()
    assert TASK.validate(example(user("Red."), FIND_RED, user('["poppy"]'), ORDER_TWO), 1000) == Valid()
    assert TASK.validate(example(user("Hi."), WHICH, result("sent"), user("Red."), FIND_RED), 1000) == Valid()
    assert TASK.validate(example(Message(role="system", content="s"), user("Red."), FIND_RED), 1000) == Valid()


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ((user("a"), FIND_RED, ORDER_TWO), "wrong_turns"),
        ((user("a"), FIND_RED, user("b")), "wrong_turns"),
        ((WHICH, user("a"), FIND_RED), "wrong_turns"),
        ((WHICH, FIND_RED), "wrong_turns"),
        ((result("r"), FIND_RED), "wrong_turns"),
        ((user("a"), result("r"), FIND_RED), "wrong_turns"),
        ((user("a"), FIND_RED, result("r"), result("r"), ORDER_TWO), "wrong_turns"),
        ((user("a"), says(""), user("b"), FIND_RED), "wrong_turns"),
        ((user(" "), FIND_RED), "empty_question"),
        ((user("a"), FIND_RED, user(""), ORDER_TWO), "empty_question"),
        ((user("a"), says("b"), user("c"), FIND_RED), "not_one_call"),
        ((user("a"), FIND_RED, user("c"), says("d")), "not_one_call"),
        ((user("a"), FIND_RED.model_copy(update={"content": "Here."})), "not_one_call"),
        ((user("a"), FIND_RED.model_copy(update={"tool_calls": FIND_RED.tool_calls * 2})), "not_one_call"),
        ((user("a"), call("find_shrub"), user("b"), FIND_RED), "unknown_tool"),
        ((user("a"), call("find_plant", colour=3), user("b"), FIND_RED), "wrong_arguments"),
    ],
)
def test_validation_gives_the_reason(messages, reason):
    verdict = TASK.validate(example(*messages), 1000)
    assert isinstance(verdict, Invalid)
    assert verdict.reason == reason
    assert verdict.detail


def test_the_length_counts_all_turns():
    length = len("Plants.Red.") + len('["poppy"]') + sum(len(json.dumps(called)) for called in ANSWERS)
    assert TASK.validate(EXAMPLE, length) == Valid()
    assert TASK.validate(EXAMPLE, length - 1).reason == "too_long"


def test_a_logged_conversation_stays_whole_from_the_first_user_turn_to_the_last_answer():
    logged = [says("Welcome."), user("Plants."), says("Which?"), user("Red."), FIND_RED, user("Bye.")]
    (row,) = TASK.examples_of(logged)
    assert row.messages == tuple(logged[1:5])
    assert row.logged_answers == ("Which?", json.dumps(ANSWERS[1]))
    assert TASK.examples_of(logged, single_turn=False) == [row]


def test_a_system_message_that_was_kept_stays_in_front():
    system = Message(role="system", content="s")
    (row,) = TASK.examples_of([system, says("Welcome."), user("Red."), FIND_RED])
    assert row.messages == (system, user("Red."), FIND_RED)
    assert TASK.prompt(row)[0]["content"] == "You sell plants.\n\ns"


def test_a_conversation_can_be_cut_into_exchanges():
    found = TASK.examples_of([*CONVERSATION[:5], says("A poppy.")], single_turn=True)
    assert [row.messages for row in found] == [CONVERSATION[:2], CONVERSATION[2:4]]
    assert [len(row.logged_answers) for row in found] == [1, 1]


def test_a_conversation_without_an_answer_says_so():
    for single_turn in (None, True, False):
        found = TASK.examples_of([says("Welcome."), user("Plants.")], single_turn)
        assert isinstance(found, Unusable)
        assert found.reason == "no_answer"


def test_unlabelled_material_is_what_users_said():
    assert TASK.unlabelled_text(CONVERSATION) == "Plants.\nRed."


def test_relabelling_shows_the_conversation_with_placeholders_and_no_logged_answer():
    shown = TASK.conversation_shown(EXAMPLE)
    assert [message["content"] for message in shown] == [
        "Plants.",
        "<answer 1>",
        "Red.",
        "<answer 2>",
        '["poppy"]',
        "<answer 3>",
    ]
    (message,) = TASK.relabel_prompt(EXAMPLE)
    assert message["role"] == "user"
    assert f"<conversation>\n{json.dumps(shown)}\n</conversation>" in message["content"]
    assert json.dumps([FIND, ORDER, ASK]) in message["content"]
    assert "Give 3 tool calls," in message["content"]
    assert "Which colour?" not in message["content"]
    assert all(set(turn) == {"role", "content"} for turn in shown)


def test_relabelling_asks_for_a_list_of_calls():
    asked = TASK.relabel_schema().model_validate({"answer": ANSWERS})
    assert TASK.read_relabelled(json.dumps(asked.model_dump()["answer"])).text == TASK.whole_answer(EXAMPLE)
    with pytest.raises(ValidationError):
        TASK.relabel_schema().model_validate({"answer": [answer("find_shrub")]})
    assert TASK.relabel_schema() is TASK.relabel_schema()


def test_all_answers_are_one_text_that_is_the_same_for_equal_answers():
    disordered = call("order_plant", count=2, plant="poppy")
    assert TASK.whole_answer(EXAMPLE) == json.dumps(ANSWERS)
    assert TASK.whole_answer(example(*CONVERSATION[:-1], disordered)) == json.dumps(ANSWERS)


def test_logged_texts_are_told_from_calls():
    row = example(user("a"), says("Which?"), user("b"), says(json.dumps(ANSWERS[1])), user("c"), FIND_RED)
    assert json.loads(TASK.whole_answer(row)) == ["Which?", ANSWERS[1], ANSWERS[1]]
    as_read = TASK.with_whole_answer(row, TASK.whole_answer(row))
    assert as_read.messages == (user("a"), says("Which?"), user("b"), FIND_RED, user("c"), FIND_RED)


def test_new_answers_replace_the_logged_ones_and_leave_the_rest():
    logged = example(user("Plants."), says("Hm."), user("Red."), says("No."), result('["poppy"]'), FIND_RED)
    assert TASK.with_whole_answer(logged, json.dumps(ANSWERS)).messages == CONVERSATION


@pytest.mark.parametrize(
    "text", ["", "no list", "[]", "5", json.dumps(ANSWERS[:2]), json.dumps([*ANSWERS, ANSWERS[0]])]
)
def test_answers_that_do_not_fit_the_turns_leave_them_without_an_answer(text):
    row = TASK.with_whole_answer(EXAMPLE, text)
    verdict = TASK.validate(row, 1000)
    assert verdict.reason == "wrong_turns"
    assert "3 of 3" in verdict.detail
    assert [message.role for message in row.messages] == [message.role for message in CONVERSATION]


def test_what_is_wrong_in_a_list_of_answers_is_named_by_its_number():
    assert TASK.read_relabelled(json.dumps(ANSWERS)).valid
    parsed = TASK.read_relabelled(json.dumps([ANSWERS[0], answer("find_plant"), "Hm."]))
    assert not parsed.valid
    assert "answer 2: " in parsed.problem
    assert "answer 3: 'Hm.'" in parsed.problem
    assert not TASK.read_relabelled("Hm.").valid


def test_one_answer_alone_and_a_fence_are_forgiven():
    assert TASK.read_relabelled(json.dumps(ANSWERS[0])).text == json.dumps(ANSWERS[:1])
    assert TASK.read_relabelled(f"```json\n{json.dumps(ANSWERS)}\n```").text == json.dumps(ANSWERS)


def test_the_generation_prompt_asks_for_conversations_that_call_the_tool():
    shown = Shown(positives=[EXAMPLE], unlabelled=["Plants?"], guidelines=[("complexity", "simple")])
    text = TASK.generation_prompt(GenerationRequest(2, "find_plant"), shown)
    assert "<tool>find_plant</tool>" in text
    assert f"<schema>\n{json.dumps(FIND)}\n</schema>" in text
    assert '<example>\n{"messages": [{"role": "user", "content": "Plants."}' in text
    assert "call_1" not in text
    assert "<count>2</count>" in text
    assert "- complexity: simple" in text
    assert "<tool>" not in TASK.generation_prompt(GenerationRequest(2), Shown())


def test_generated_turns_become_conversations():
    request = GenerationRequest(1, "find_plant")
    turns = [
        {"role": "user", "content": "Plants.", "call": ANSWERS[0]},
        {"role": "user", "content": "Red.", "call": ANSWERS[1]},
        {"role": "tool", "content": '["poppy"]', "call": answer("order_plant", count=2, plant="poppy")},
    ]
    generated = TASK.generated_schema(request).model_validate({"examples": [{"turns": turns}]})
    (row,) = TASK.read_generated(generated, request)
    assert row.messages == (*CONVERSATION[:4], Message(role="tool", content='["poppy"]'), ORDER_TWO)
    assert TASK.validate(row, 1000) == Valid()
    assert list(row.target.tool_calls[0].arguments) == ["plant", "count"]


def test_a_conversation_without_turns_is_not_generated():
    with pytest.raises(ValidationError):
        TASK.generated_schema(GenerationRequest(1)).model_validate({"examples": [{"turns": []}]})


made_calls = st.sampled_from([WHICH, FIND_RED, ORDER_TWO])
heard = st.one_of(st.text(min_size=1).map(user), st.text().map(result))
spoken = st.one_of(st.text().map(says), made_calls, st.just(call("find_shrub")))
any_turn = st.one_of(heard, spoken, st.text().map(user), st.just(Message(role="system", content="s")))
sound = st.lists(st.tuples(heard, made_calls), min_size=1, max_size=6).map(
    lambda pairs: example(user("first"), WHICH, *[message for pair in pairs for message in pair])
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(ANSWERS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
written = st.one_of(st.text(), json_values.map(json.dumps), st.just("[" * 5000), st.just('[{"name":' * 5000))


@given(sound)
def test_a_conversation_of_k_calls_gives_k_prefixes(row):
    rows = TASK.turns(row)
    assert len(rows) == sum(bool(message.tool_calls) for message in row.messages)
    assert all(row.messages[: len(turn.messages)] == turn.messages for turn in rows)
    assert [len(turn.messages) for turn in rows] == list(range(2, len(row.messages) + 1, 2))


@given(st.lists(any_turn, min_size=2, max_size=8), written)
def test_any_conversation_and_any_answer_are_judged(messages, text):
    row = TASK.with_whole_answer(example(*messages), text)
    assert [message.role for message in row.messages] == [message.role for message in messages]
    assert isinstance(TASK.validate(row, 10**9), Valid | Invalid)
    assert all(turn.target.tool_calls for turn in TASK.turns(row))


@given(st.lists(any_turn, min_size=2, max_size=8))
def test_answers_read_back_are_the_same_answers(messages):
    row = example(*messages)
    text = TASK.whole_answer(row)
    assert TASK.whole_answer(TASK.with_whole_answer(row, text)) == text
    assert TASK.read_relabelled(text).text == text


@given(st.lists(any_turn, max_size=8), st.sampled_from([None, True, False]))
def test_examples_of_any_log_end_on_an_answer_to_a_user(messages, single_turn):
    found = TASK.examples_of(messages, single_turn)
    for row in [] if isinstance(found, Unusable) else found:
        assert row.target.role == "assistant"
        assert any(message.role == "user" for message in row.prompt)
        assert len(row.logged_answers) == sum(message.role == "assistant" for message in row.messages)


@given(written)
def test_any_text_is_read_as_a_prediction(text):
    parsed = TASK.parse_prediction(text)
    assert TASK.parse_prediction(parsed.text) == parsed
