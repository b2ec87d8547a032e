import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from distil_dagster.data.examples import Example
from distil_dagster.data.job import JobDescription
from distil_dagster.data.messages import Message, ToolCall
from distil_dagster.errors import DataError
from distil_dagster.tasks.base import GenerationRequest, Parsed, Shown, Unusable, Valid
from distil_dagster.tasks.registry import task_for
from distil_dagster.tasks.tool_calling import ToolCalling


def tool(name, description, properties, required=()):
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


RING = tool(
    "ring_bell",
    "Ring a bell of the tower.",
    {"bell": {"type": "string", "enum": ["low", "high"]}, "times": {"type": "integer", "default": 1}},
    ["bell"],
)
WIND = tool("wind_clock", "Wind up the clock.", {"turns": {"type": "integer"}})
TELL = tool("tell_visitor", "Say something to the visitor.", {"message": {"type": "string"}}, ["message"])
JOB = JobDescription(task_description="You keep a clock tower.", tools=(RING, WIND))
TASK = ToolCalling(JOB)
RING_LOW = '{"name": "ring_bell", "parameters": {"bell": "low", "times": 2}}'


def user(text):
    return Message(role="user", content=text)


def says(text):
    return Message(role="assistant", content=text)


def calls(*named, text="", call_id=None):
    made = tuple(ToolCall(name=name, arguments=arguments, id=call_id) for name, arguments in named)
    return Message(role="assistant", content=text, tool_calls=made)


def ring(**arguments):
    return calls(("ring_bell", arguments))


def example(question, answer):
    return Example(messages=(user(question), answer))


def test_a_job_without_tools_is_an_error_that_names_the_key():
    with pytest.raises(DataError, match="tools"):
        task_for("tool-calling-closed-book", JobDescription(task_description="t"))


def test_labels_are_the_tools_with_their_descriptions():
    assert TASK.labels == ("ring_bell", "wind_clock")
    assert TASK.label_descriptions["wind_clock"] == "Wind up the clock."
    assert TASK.classes == ()
    assert TASK.tools == (RING, WIND)


def test_equivalence_of_calls_decides_unless_a_tool_takes_free_text():
    assert TASK.primary_metric == "tool_call_equivalence"
    talking = ToolCalling(JobDescription(task_description="t", tools=(RING, TELL)))
    assert talking.primary_metric == "llm_as_a_judge"
    assert "tell_visitor.message" in talking.primary_metric_reason


def test_the_student_sees_the_task_and_the_request_and_answers_with_the_call():
    row = example("Ring the low one.", ring(bell="low"))
    assert TASK.prompt(row) == [
        {"role": "system", "content": "You keep a clock tower."},
        {"role": "user", "content": "Ring the low one."},
    ]
    assert TASK.completion(row) == {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "function": {"name": "ring_bell", "arguments": {"bell": "low"}}}],
    }


def test_the_student_learns_arguments_in_the_order_of_the_schema():
    completion = TASK.completion(example("q", ring(times=3, bell="high")))
    assert list(completion["tool_calls"][0]["function"]["arguments"]) == ["bell", "times"]


def test_ids_stay_out_of_what_the_student_sees_and_results_name_their_tool():
    history = (
        user("Ring it."),
        calls(("ring_bell", {"bell": "low"}), ("wind_clock", {}), text="\n", call_id="call_7"),
        Message(role="tool", content="done", tool_call_id="call_7"),
        user("Again."),
        ring(bell="low"),
    )
    _, _, called, result, _ = TASK.prompt(Example(messages=history))
    assert called["content"] == ""
    assert all(set(call) == {"type", "function"} for call in called["tool_calls"])
    assert result == {"role": "tool", "content": "done", "name": "wind_clock"}


def test_a_result_names_the_tool_whose_call_has_its_id():
    both = Message(
        role="assistant", tool_calls=(ToolCall(name="ring_bell", id="a"), ToolCall(name="wind_clock", id="b"))
    )
    results = [Message(role="tool", content=key, tool_call_id=key) for key in ("b", "a")]
    row = Example(messages=(user("q"), both, *results, user("r"), ring(bell="low")))
    assert [message["name"] for message in TASK.prompt(row) if message["role"] == "tool"] == ["wind_clock", "ring_bell"]


def test_a_system_message_that_was_kept_joins_the_system_prompt_of_student_and_teacher():
    row = Example(messages=(Message(role="system", content="Be quick."), user("q"), ring(bell="low")))
    for prompt in (TASK.prompt(row), TASK.teacher_prompt(row)):
        assert prompt[0]["content"].startswith("You keep a clock tower.")
        assert prompt[0]["content"].endswith("\n\nBe quick.")
        assert [message["role"] for message in prompt] == ["system", "user"]


@pytest.mark.parametrize(
    "text",
    [
        RING_LOW,
        '{"name": "ring_bell", "parameters": {"times": 2, "bell": "low"}}',
        '{"name": "ring_bell", "arguments": {"times": 2, "bell": "low"}}',
        f"```json\n{RING_LOW}\n```",
        '<tool_call>\n{"name": "ring_bell", "arguments": {"bell": "low", "times": 2}}\n</tool_call>',
    ],
)
def test_every_way_to_write_a_call_reads_as_the_same_text(text):
    assert TASK.parse_prediction(text) == Parsed(RING_LOW, valid=True)


def test_what_is_no_call_is_kept_as_it_is_written():
    parsed = TASK.parse_prediction("  I would ring the bell. ")
    assert (parsed.text, parsed.valid) == ("I would ring the bell.", False)
    assert parsed.problem


def test_several_calls_are_not_one_call():
    parsed = TASK.parse_prediction(f"[{RING_LOW}, {RING_LOW}]")
    assert not parsed.valid
    assert "2" in parsed.problem


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ({"name": "ring_gong", "parameters": {"bell": "low"}}, "unknown_tool"),
        ({"name": "ring_bell", "parameters": {"bell": "middle"}}, "wrong_arguments"),
        ({"name": "ring_bell", "parameters": {"times": 2}}, "wrong_arguments"),
    ],
)
def test_a_call_that_breaks_the_schema_is_read_with_its_problem(call, reason):
    text = json.dumps(call)
    parsed = TASK.parse_prediction(text)
    assert (parsed.text, parsed.valid) == (text, False)
    assert parsed.problem
    assert TASK.validate(example("q", calls((call["name"], call["parameters"]))), 1000).reason == reason


def test_teachers_see_the_tools_as_text_and_the_history_as_answers():
    history = (
        user("Ring it."),
        ring(bell="low"),
        Message(role="tool", content="done", tool_call_id="call_1"),
        user("Again, twice."),
        ring(bell="low", times=2),
    )
    row = Example(messages=history)
    system, *turns = TASK.teacher_prompt(row)
    assert json.dumps([RING, WIND]) in system["content"]
    assert turns == [
        {"role": "user", "content": "Ring it."},
        {"role": "assistant", "content": '{"answer": {"name": "ring_bell", "parameters": {"bell": "low"}}}'},
        {"role": "user", "content": "<tool_result>\ndone\n</tool_result>"},
        {"role": "user", "content": "Again, twice."},
    ]
    assert TASK.teacher_completion(row) == {"role": "assistant", "content": f'{{"answer": {RING_LOW}}}'}


def test_what_a_teacher_is_shown_as_an_answer_fits_the_schema_of_answers():
    shown = TASK.teacher_completion(example("q", ring(bell="low", times=2)))["content"]
    answer = TASK.answer_schema().model_validate_json(shown).model_dump()["answer"]
    assert TASK.parse_prediction(json.dumps(answer)) == Parsed(RING_LOW, valid=True)


def test_teachers_may_only_call_tools_of_the_job():
    with pytest.raises(ValidationError):
        TASK.answer_schema().model_validate({"answer": {"name": "ring_gong", "parameters": {}}})
    assert TASK.answer_schema() is TASK.answer_schema()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (example(" ", ring(bell="low")), "empty_question"),
        (example("q", says("Ding!")), "not_one_call"),
        (example("q", says("")), "not_one_call"),
        (example("q", calls(("ring_bell", {"bell": "low"}), ("wind_clock", {}))), "not_one_call"),
        (example("q", calls(("ring_bell", {"bell": "low"}), text="Ringing.")), "not_one_call"),
        (example("q", ring()), "wrong_arguments"),
    ],
)
def test_validation_gives_the_reason(row, reason):
    assert TASK.validate(row, 1000).reason == reason


def test_the_length_counts_every_message_and_call():
    history = (user("12345"), ring(bell="low"), user("678"), ring(bell="low", times=2))
    length = 8 + len('{"name": "ring_bell", "parameters": {"bell": "low"}}') + len(RING_LOW)
    assert TASK.validate(Example(messages=history), length) == Valid()
    assert TASK.validate(Example(messages=history), length - 1).reason == "too_long"


def test_the_question_is_the_users_turn_and_with_a_history_the_whole_conversation():
    row = example("Ring it.", ring(bell="low"))
    assert TASK.question_text(row) == TASK.similarity_text(row) == "Ring it."
    assert TASK.labels_in(row) == ("ring_bell",)
    assert TASK.turns(row) == [row]
    longer = Example(messages=(user("a"), ring(bell="low"), user("b"), ring(bell="high")))
    assert [message["role"] for message in json.loads(TASK.question_text(longer))] == ["user", "assistant", "user"]
    assert TASK.similarity_text(longer) == "b"


def test_each_answered_request_is_one_example_with_what_was_logged():
    found = TASK.examples_of(
        [
            user("Ring it."),
            says("One moment."),
            ring(bell="low", times=2),
            Message(role="tool", content="done"),
            says("It has rung."),
            user("Wind it."),
            says("I cannot."),
            user("Nothing."),
            says(""),
            user("Thanks."),
        ]
    )
    assert [(row.question, row.answer, row.logged_answers) for row in found] == [
        ("Ring it.", RING_LOW, (RING_LOW,)),
        ("Wind it.", "I cannot.", ("I cannot.",)),
    ]


def test_the_history_stays_where_the_conversation_is_not_to_be_cut():
    messages = [
        user("a"),
        ring(bell="low"),
        user("b"),
        ring(bell="high"),
        Message(role="tool", content="r"),
        says("Done."),
    ]
    (row,) = TASK.examples_of(messages, single_turn=False)
    assert row.messages == tuple(messages[:4])
    assert len(row.logged_answers) == 1


def test_a_conversation_without_an_answer_says_so():
    for single_turn in (None, True, False):
        found = TASK.examples_of([user("q"), says("")], single_turn)
        assert isinstance(found, Unusable)
        assert found.reason == "no_answer"


def test_unlabelled_material_is_what_users_said():
    messages = [user("a"), ring(bell="low"), Message(role="tool", content="[1, 2, 3]"), user("b")]
    assert TASK.unlabelled_text(messages) == "a\nb"
    assert TASK.unlabelled_text(messages[1:3]) is None


def test_relabelling_asks_again_as_a_teacher_is_asked():
    row = example("Ring it.", says("Ding!"))
    assert TASK.relabel_prompt(row) == TASK.teacher_prompt(row)
    assert TASK.relabel_schema() is TASK.answer_schema()
    assert TASK.conversation_shown(row) == [{"role": "user", "content": "Ring it."}]


def test_equal_answers_are_equal_texts():
    rows = [
        example("q", ring(bell="low", times=2)),
        example("q", ring(times=2, bell="low")),
        example("q", says(RING_LOW)),
    ]
    assert {TASK.whole_answer(row) for row in rows} == {RING_LOW}


def test_a_new_answer_replaces_the_logged_one():
    row = example("q", says("Ding!"))
    relabelled = TASK.with_whole_answer(row, TASK.read_relabelled(RING_LOW).text)
    assert relabelled.messages == (user("q"), ring(bell="low", times=2))
    assert TASK.validate(relabelled, 1000) == Valid()


def test_an_answer_that_is_no_call_stays_a_text_that_validation_rejects():
    row = TASK.with_whole_answer(example("q", ring(bell="low")), "Ding!")
    assert row.target == says("Ding!")
    assert TASK.validate(row, 1000).reason == "not_one_call"


def test_the_generation_prompt_shows_the_tools_and_the_one_that_is_asked_for():
    row = example("Ring it.", calls(("ring_bell", {"times": 2, "bell": "low"}), call_id="call_9"))
    shown = Shown(positives=[row], unlabelled=["Bong?"], guidelines=[("length", "short")])
    text = TASK.generation_prompt(GenerationRequest(3, "ring_bell"), shown)
    assert f"<tools>\n{json.dumps([RING, WIND])}\n</tools>" in text
    assert "<tool>ring_bell</tool>" in text
    assert f"<schema>\n{json.dumps(RING)}\n</schema>" in text
    assert f"<example>\n{json.dumps({'question': 'Ring it.', 'answer': RING_LOW})}\n</example>" in text
    assert "<unlabelled>\nBong?\n</unlabelled>" in text
    assert "<count>3</count>" in text
    assert "- length: short" in text


def test_the_generation_prompt_without_a_tool_asks_for_any():
    text = TASK.generation_prompt(GenerationRequest(1), Shown())
    assert "<tool>" not in text
    assert "<schema>" not in text


def test_generated_requests_become_examples():
    request = GenerationRequest(1, "ring_bell")
    generated = {"question": "Twice!", "answer": {"name": "ring_bell", "parameters": {"times": 2, "bell": "low"}}}
    answer = TASK.generated_schema(request).model_validate({"examples": [generated]})
    (row,) = TASK.read_generated(answer, request)
    assert (row.question, row.answer) == ("Twice!", RING_LOW)
    assert TASK.validate(row, 1000) == Valid()


def test_a_generated_call_that_could_not_be_stored_is_no_call():
    request, nested = GenerationRequest(1), {}
    for _ in range(200):
        nested = {"bell": nested}
    for arguments in (nested, {"bell": float("nan")}, {"bell": "\ud800"}):
        generated = {"question": "q", "answer": {"name": "ring_bell", "parameters": arguments}}
        (row,) = TASK.read_generated(TASK.generated_schema(request).model_validate({"examples": [generated]}), request)
        assert TASK.validate(row, 1000).reason == "not_one_call"


def test_a_generated_call_of_another_tool_is_read_and_a_tool_that_does_not_exist_is_not():
    schema = TASK.generated_schema(GenerationRequest(1, "ring_bell"))
    drifted = {"question": "q", "answer": {"name": "wind_clock", "parameters": {}}}
    assert TASK.read_generated(schema.model_validate({"examples": [drifted]}), GenerationRequest(1, "ring_bell"))
    with pytest.raises(ValidationError):
        schema.model_validate({"examples": [drifted | {"answer": {"name": "ring_gong", "parameters": {}}}]})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
call_texts = st.builds(
    lambda name, arguments: json.dumps({"name": name, "parameters": arguments}),
    st.sampled_from(["ring_bell", "wind_clock", "ring_gong"]),
    st.dictionaries(st.sampled_from(["bell", "times", "turns", "x"]), json_values),
)
written = st.one_of(st.text(), call_texts, json_values.map(json.dumps), st.just("[" * 5000), st.just('{"name":' * 5000))


@given(written)
def test_any_text_is_read_and_reads_the_same_again(text):
    parsed = TASK.parse_prediction(text)
    assert TASK.parse_prediction(parsed.text) == parsed
    row = TASK.with_whole_answer(example("q", says("")), text)
    assert isinstance(TASK.validate(row, 10**9), Valid) == parsed.valid
    assert TASK.whole_answer(row) == parsed.text
