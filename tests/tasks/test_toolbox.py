import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.data.messages import ToolCall
from distil_dagster.errors import DataError
from distil_dagster.tasks.base import Invalid
from distil_dagster.tasks.toolbox import Toolbox

SHIP = {
    "name": "ship_parcel",
    "description": "Sends a parcel.",
    "parameters": {
        "properties": {
            "weight": {"type": "number", "minimum": 0},
            "to": {"type": "object", "properties": {"city": {"type": "string"}, "country": {"default": "NO"}}},
            "express": {"type": "boolean", "default": False},
            "insurance": {"type": ["number", "null"], "default": None},
            "stamps": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["weight"],
        "type": "object",
        "additionalProperties": False,
    },
}
PING = {"name": "ping"}


def wrapped(function: dict) -> dict:
    return {"type": "function", "function": function}


def tool(**properties: object) -> dict:
    return wrapped({"name": "say", "parameters": {"type": "object", "properties": properties}})


def ship(**arguments: object) -> ToolCall:
    return ToolCall(name="ship_parcel", arguments=arguments)


@pytest.fixture
def toolbox() -> Toolbox:
    return Toolbox([wrapped(SHIP), PING])


def test_tools_stand_in_their_order_with_or_without_openais_wrapper(toolbox):
    assert toolbox.names == ("ship_parcel", "ping")
    assert toolbox.descriptions == {"ship_parcel": "Sends a parcel.", "ping": ""}
    assert toolbox.tools[0] == wrapped(SHIP)


def test_description_and_parameters_are_filled_in_where_they_are_missing(toolbox):
    no_parameters = {"type": "object", "properties": {}, "additionalProperties": False}
    assert toolbox.tools[1] == wrapped({"name": "ping", "description": "", "parameters": no_parameters})


def test_its_own_tools_make_the_same_toolbox(toolbox):
    assert Toolbox(toolbox.tools).tools == toolbox.tools


def test_the_flat_form_with_a_type_is_read_too():
    assert Toolbox([{"type": "function", **SHIP}]).tools == (wrapped(SHIP),)


def test_a_right_call_has_no_problem(toolbox):
    assert toolbox.problem_with(ship(weight=2, to={"city": "Oslo"}, insurance=None)) is None
    assert toolbox.problem_with(ToolCall(name="ping")) is None


def test_an_unknown_tool_is_told_the_known_ones(toolbox):
    assert toolbox.problem_with(ToolCall(name="ship")) == Invalid(
        "unknown_tool", "'ship' is not a tool; the tools are ship_parcel, ping"
    )


@pytest.mark.parametrize(
    ("arguments", "detail"),
    [
        ({}, "ship_parcel: 'weight' is a required property"),
        ({"weight": "2"}, "ship_parcel: weight: '2' is not of type 'number'"),
        ({"weight": True}, "ship_parcel: weight: True is not of type 'number'"),
        ({"weight": -1}, "ship_parcel: weight: -1 is less than the minimum of 0"),
        ({"weight": 1, "to": {"city": 5}}, "ship_parcel: to.city: 5 is not of type 'string'"),
        ({"weight": 1, "stamps": ["a", 2]}, "ship_parcel: stamps[1]: 2 is not of type 'string'"),
        ({"weight": 1, "colour": "red"}, "Additional properties are not allowed ('colour' was unexpected)"),
    ],
)
def test_wrong_arguments_are_named_with_their_place(toolbox, arguments, detail):
    problem = toolbox.problem_with(ship(**arguments))
    assert problem.reason == "wrong_arguments"
    assert detail in problem.detail


@pytest.mark.parametrize("parameters", [{}, {"parameters": None}, {"parameters": {}}])
def test_a_tool_without_parameters_takes_no_arguments(parameters):
    toolbox = Toolbox([{"name": "ping", **parameters}])
    assert toolbox.problem_with(ToolCall(name="ping")) is None
    assert toolbox.problem_with(ToolCall(name="ping", arguments={"host": "a"})).reason == "wrong_arguments"


def test_a_long_message_is_cut(toolbox):
    assert len(toolbox.problem_with(ship(weight="x" * 5000)).detail) < 400


def test_a_schema_is_checked_by_the_draft_that_it_names():
    # Draft 4 says exclusiveMinimum with a boolean; for draft 2020-12, that is no schema.
    schema = {"type": "object", "properties": {"n": {"type": "number", "minimum": 0, "exclusiveMinimum": True}}}
    old = Toolbox([{"name": "f", "parameters": {"$schema": "http://json-schema.org/draft-04/schema#", **schema}}])
    assert old.problem_with(ToolCall(name="f", arguments={"n": 0})).reason == "wrong_arguments"
    with pytest.raises(DataError, match="not a valid JSON schema"):
        Toolbox([{"name": "f", "parameters": schema}])


@pytest.mark.parametrize(
    ("tools", "message"),
    [
        ([], "tools: a tool-calling task needs at least one tool"),
        (["ping"], "tool 1: must be .*, not 'ping'"),
        ([{"type": "web_search"}], "tool 1: must be"),
        ([PING, {"type": "function", "function": {"name": " "}}], "tool 2: must be"),
        ([PING, wrapped(PING)], "tool 2: there is a tool ping before it"),
        ([{"name": "f", "parameters": ["a"]}], r"tool 1 \(f\): parameters: must be a JSON schema, not a list"),
        ([{"name": "f", "parameters": {"type": "dict"}}], "'dict' is not valid .* at \\$.type"),
        ([tool(a={"type": "string", "pattern": "["})], r"not a 'regex' at \$.properties.a.pattern"),
        ([tool(a={"type": "string", "required": True})], r"True is not of type 'array'"),
        ([{"name": "f", "parameters": {"$schema": 5}}], "not a valid JSON schema"),
        ([tool(a={"$ref": "#/$defs/A"})], r"the reference '#/\$defs/A' leads nowhere"),
        ([tool(a={"items": [{"$ref": "https://example.org/a.json"}]})], "not a valid JSON schema"),
        ([tool(a={"$dynamicRef": "#node"})], "the reference '#node' leads nowhere"),
        ([tool(a={"anyOf": [{"$ref": "https://example.org/a.json"}]})], "leads nowhere within the schema"),
    ],
)
def test_tools_that_cannot_be_used_are_an_error_that_says_where(tools, message):
    with pytest.raises(DataError, match=message) as error:
        Toolbox(tools)
    assert str(error.value).startswith("job_description.json: tools: ")


def test_a_reference_in_a_value_or_as_a_name_is_none():
    toolbox = Toolbox([tool(**{"$ref": {"type": "string", "default": {"$ref": "#/a"}}})])
    assert toolbox.problem_with(ToolCall(name="say", arguments={"$ref": "x"})) is None


def test_what_jsonschema_cannot_compute_is_a_problem_and_no_crash():
    endless = Toolbox([{"name": "f", "parameters": {"$ref": "#"}}])
    assert "cannot be checked" in endless.problem_with(ToolCall(name="f")).detail
    halves = Toolbox([tool(n={"type": "integer", "multipleOf": 0.5})])
    assert "cannot be checked" in halves.problem_with(ToolCall(name="say", arguments={"n": 10**400})).detail


def test_nothing_is_fetched_for_a_reference_out_of_a_part_with_an_address_of_its_own(monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", lambda *_: pytest.fail("asked the network"))
    part = {"$id": "https://other.example/part.json", "properties": {"n": {"$ref": "root.json"}}}
    schema = {"$id": "https://one.example/root.json", "properties": {"a": part}}
    problem = Toolbox([{"name": "f", "parameters": schema}]).problem_with(ToolCall(name="f", arguments={"a": {"n": 1}}))
    assert "cannot be checked" in problem.detail


def test_defaults_are_filled_in_for_arguments_not_given(toolbox):
    filled = toolbox.with_defaults(ship(weight=2, to={"city": "Oslo"}))
    assert filled == ship(weight=2, to={"city": "Oslo", "country": "NO"}, express=False, insurance=None)


def test_given_arguments_keep_their_value_and_absent_objects_stay_absent(toolbox):
    given_all = ship(weight=2, to={"city": "Oslo", "country": "SE"}, express=True, insurance=5)
    assert toolbox.with_defaults(given_all) == given_all
    assert "to" not in toolbox.with_defaults(ship(weight=2)).arguments


def test_defaults_behind_a_reference_are_found():
    schema = {
        "$defs": {"Place": {"type": "object", "properties": {"floor": {"type": "integer", "default": 0}}}},
        "properties": {"place": {"$ref": "#/$defs/Place"}},
    }
    toolbox = Toolbox([{"name": "go", "parameters": schema}])
    filled = toolbox.with_defaults(ToolCall(name="go", arguments={"place": {}}))
    assert filled.arguments == {"place": {"floor": 0}}


def test_a_filled_default_is_the_calls_own(toolbox):
    box = Toolbox([tool(tags={"type": "array", "default": []})])
    box.with_defaults(ToolCall(name="say")).arguments["tags"].append("changed")
    assert box.with_defaults(ToolCall(name="say")).arguments == {"tags": []}


ARGUMENTS = st.dictionaries(
    st.sampled_from([*SHIP["parameters"]["properties"], "colour"]),
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=3)
    | st.fixed_dictionaries({}, optional={"city": st.text()}),
)


@given(ARGUMENTS)
def test_filling_twice_fills_once_and_loses_nothing(arguments):
    toolbox = Toolbox([SHIP])
    filled = toolbox.with_defaults(ship(**arguments))
    assert toolbox.with_defaults(filled) == filled
    assert filled.arguments.keys() >= arguments.keys()


@given(ARGUMENTS)
def test_ordering_changes_the_order_alone(arguments):
    ordered = Toolbox([SHIP]).ordered(ship(**arguments))
    assert ordered == ship(**arguments)
    names = list(ordered.arguments)
    known = [name for name in SHIP["parameters"]["properties"] if name in arguments]
    assert names == [*known, *(name for name in arguments if name == "colour")]


def test_arguments_that_the_schema_does_not_know_come_last(toolbox):
    ordered = toolbox.ordered(ship(zeta=1, express=True, alpha=2, weight=3))
    assert json.dumps(ordered.arguments) == '{"weight": 3, "express": true, "zeta": 1, "alpha": 2}'


def test_an_unknown_tools_call_stays_as_it_is(toolbox):
    call = ToolCall(name="unknown", arguments={"b": 1, "a": {}}, id="7")
    assert toolbox.with_defaults(call) is call
    assert toolbox.ordered(call) is call


TEXT = {"type": "string"}


PROSE = (
    "message text emailBody delivery_notes comment order-summary issue_description HTMLContent question final_answer "
    "reply reason response note2 instructions additionalDetails"
)
VALUES = (
    "city name title date genre location id query search_query search_text keywords message_id content_type "
    "reason_code commentCount reply_to context subtext 7 note_title"
)


@pytest.mark.parametrize("parameter", PROSE.split())
def test_a_text_whose_name_says_prose_is_free_text(parameter):
    assert Toolbox([PING, tool(city=TEXT, **{parameter: TEXT})]).free_text_parameter == f"say.{parameter}"


@pytest.mark.parametrize("parameter", [*VALUES.split(), ""])
def test_a_text_that_is_copied_or_looked_up_is_not(parameter):
    assert Toolbox([tool(**{parameter: TEXT})]).free_text_parameter is None


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "enum": ["lost", "stolen"]},
        {"type": "string", "const": "lost"},
        {"type": "string", "format": "uuid"},
        {"type": "string", "pattern": "^[A-Z]+$"},
        {"type": "integer"},
        {"type": "array", "items": TEXT},
        {"anyOf": [{"type": "string", "enum": ["lost"]}, {"type": "null"}]},
        {},
        True,
    ],
)
def test_a_closed_set_or_another_type_is_no_free_text_whatever_its_name(schema):
    assert Toolbox([tool(reason=schema)]).free_text_parameter is None


@pytest.mark.parametrize("schema", [{"type": ["string", "null"]}, {"anyOf": [TEXT, {"type": "null"}], "default": None}])
def test_a_text_that_may_be_null_is_free_text(schema):
    assert Toolbox([tool(reason=schema)]).free_text_parameter == "say.reason"
