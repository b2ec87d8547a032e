"""The tools of a job description, and what their JSON schemas say of a call."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from distil_dagster.config.loading import JOB_DESCRIPTION
from distil_dagster.data.messages import ToolCall
from distil_dagster.data.normalise import kind_of
from distil_dagster.errors import DataError
from distil_dagster.tasks.base import Invalid

_WHERE = f"{JOB_DESCRIPTION}: tools"
_NO_PARAMETERS = {"type": "object", "properties": {}, "additionalProperties": False}
_LONGEST_MESSAGE = 300
_DATA_KEYWORDS = frozenset({"const", "default", "enum", "examples"})
_REFERENCE_KEYWORDS = ("$ref", "$dynamicRef", "$recursiveRef")
_CLOSED_KEYWORDS = frozenset({"const", "enum", "format", "pattern"})
_PROSE = frozenset(
    {
        *("message", "text", "body", "content", "comment", "note", "description", "summary", "detail"),
        *("reason", "explanation", "feedback", "remark", "instruction"),
        *("question", "answer", "response", "reply", "prompt"),
    }
)
_SEARCH = frozenset({"search", "query", "keyword", "filter", "find", "lookup", "match"})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


class Toolbox:
    """The tools of one job description.

    Each is in OpenAI form, `{"type": "function", "function": {"name", "description", "parameters"}}`, or is the inner
    object alone. `parameters` is a JSON schema, of the draft that its `$schema` names or else 2020-12; where it is
    missing or empty, the tool takes no arguments, as OpenAI has it.

    Raises:
        DataError: there are no tools, one is not in OpenAI form, two have one name, or a schema is not valid.
    """

    def __init__(self, tools: Sequence[Mapping[str, Any]]) -> None:
        if not tools:
            raise DataError(f"{_WHERE}: a tool-calling task needs at least one tool")
        self._tools: dict[str, _Tool] = {}
        for number, raw in enumerate(tools, start=1):
            tool = _read_tool(raw, number)
            if tool.name in self._tools:
                raise DataError(f"{_WHERE}: tool {number}: there is a tool {tool.name} before it")
            self._tools[tool.name] = tool

    @property
    def names(self) -> tuple[str, ...]:
        """The tools' names, in the job description's order."""
        return tuple(self._tools)

    @property
    def descriptions(self) -> Mapping[str, str]:
        """What each tool does; empty where the job description does not say."""
        return {name: tool.declaration["function"]["description"] for name, tool in self._tools.items()}

    @property
    def tools(self) -> tuple[dict[str, Any], ...]:
        """The tools in OpenAI form, with description and parameters filled in where they are missing."""
        return tuple(tool.declaration for tool in self._tools.values())

    def problem_with(self, call: ToolCall) -> Invalid | None:
        """Why a call is none of these tools, or breaks its tool's schema; none where it is right."""
        tool = self._tools.get(call.name)
        if tool is None:
            return Invalid("unknown_tool", f"{call.name!r:.80} is not a tool; the tools are {', '.join(self.names)}")
        problem = tool.problem_with(call.arguments)
        return None if problem is None else Invalid("wrong_arguments", f"{call.name}: {problem}")

    def with_defaults(self, call: ToolCall) -> ToolCall:
        """The call with the schema's `default` for every argument not given, and so in arguments that are objects.

        A null that is the default counts as one. Nothing is filled in inside lists or behind `anyOf` and its like, nor
        for an unknown tool.
        """
        tool = self._tools.get(call.name)
        if tool is None:
            return call
        return call.model_copy(update={"arguments": tool.filled(tool.schema, call.arguments)})

    def ordered(self, call: ToolCall) -> ToolCall:
        """The call with its arguments in the order of the schema's properties; others follow in their own order."""
        tool = self._tools.get(call.name)
        if tool is None:
            return call
        known = [name for name in tool.properties(tool.schema) if name in call.arguments]
        return call.model_copy(update={"arguments": {name: call.arguments[name] for name in (*known, *call.arguments)}})

    @cached_property
    def free_text_parameter(self) -> str | None:
        """The first parameter that takes prose, as `tool.parameter`: two right values need not be equal texts.

        That is a text without `enum`, `const`, `format` or `pattern`, whose name ends in a word for something worded
        freely (`emailBody`, `delivery_notes`): message, text, body, content, comment, note, description, summary,
        detail, reason, explanation, feedback, remark, instruction, question, answer, response, reply, prompt, or the
        plural of one. The last word decides, so that `message_id` and `content_type` take none; nor does a name with a
        word for searching (`search_text`). City, name, title, date or query take values that are copied or looked up,
        and so compared as they are.
        """
        parameters = ((tool, name) for tool in self._tools.values() for name in tool.properties(tool.schema))
        prose = (f"{tool.name}.{name}" for tool, name in parameters if _takes_prose(name, tool))
        return next(prose, None)


@dataclass(frozen=True)
class _Tool:
    """One tool: as declared in OpenAI form, and jsonschema's validator and resolver of its parameters' schema."""

    declaration: dict[str, Any]
    validator: Any
    resolver: Any

    @property
    def name(self) -> str:
        return str(self.declaration["function"]["name"])

    @property
    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = self.declaration["function"]["parameters"]
        return schema

    def problem_with(self, arguments: dict[str, Any]) -> str | None:
        """Where and how arguments break the schema, by jsonschema's choice of the most telling error."""
        from jsonschema.exceptions import best_match
        from referencing.exceptions import Unresolvable

        try:
            error = best_match(self.validator.iter_errors(arguments))
        except (RecursionError, OverflowError, Unresolvable) as failure:
            return f"the arguments cannot be checked: {failure}"
        if error is None:
            return None
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
        return f"{place[1:]}: {error.message:.{_LONGEST_MESSAGE}}" if place else f"{error.message:.{_LONGEST_MESSAGE}}"

    def properties(self, schema: Any) -> Mapping[str, Any]:
        """The properties that a part of this tool's schema declares, itself or where its `$ref` leads."""
        if isinstance(schema, Mapping) and "properties" not in schema and isinstance(schema.get("$ref"), str):
            schema = self.resolver.lookup(schema["$ref"]).contents
        return schema.get("properties", {}) if isinstance(schema, Mapping) else {}

    def filled(self, schema: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """The values of an object with the defaults of its schema."""
        properties = self.properties(schema)
        defaults = {
            name: copy.deepcopy(inner["default"])
            for name, inner in properties.items()
            if isinstance(inner, Mapping) and "default" in inner and name not in given
        }
        return {
            name: self.filled(properties.get(name), value) if isinstance(value, Mapping) else value
            for name, value in {**given, **defaults}.items()
        }


def _read_tool(raw: object, number: int) -> _Tool:
    where = f"{_WHERE}: tool {number}"
    inner = raw.get("function", raw) if isinstance(raw, Mapping) else None
    name = inner.get("name") if isinstance(inner, Mapping) else None
    if not isinstance(inner, Mapping) or not isinstance(name, str) or not name.strip():
        raise DataError(f'{where}: must be {{"type": "function", "function": {{"name": …}}}}, not {raw!r:.80}')
    schema = inner.get("parameters") or _NO_PARAMETERS
    if not isinstance(schema, Mapping):
        raise DataError(f"{where} ({name}): parameters: must be a JSON schema, not {kind_of(schema)}")
    parameters = copy.deepcopy(dict(schema))
    validator, resolver = _checked(parameters, f"{where} ({name}): parameters")
    function = {
        **{key: value for key, value in inner.items() if key != "type"},
        "description": inner.get("description") or "",
        "parameters": parameters,
    }
    return _Tool({"type": "function", "function": function}, validator, resolver)


def _checked(schema: dict[str, Any], where: str) -> tuple[Any, Any]:
    """Validator and resolver of a schema; it must be valid, and its `$ref`s must lead somewhere within it."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012, EMPTY_REGISTRY

    dialect = validator_for(schema, Draft202012Validator) if isinstance(schema.get("$schema"), str) else None
    validator_class = dialect or Draft202012Validator
    try:
        validator_class.check_schema(schema)
    except SchemaError as error:
        raise DataError(f"{where}: not a valid JSON schema: {error.message} at {error.json_path}") from None
    # With a registry of its own, jsonschema does not fetch what a schema points to from the network.
    validator = validator_class(schema, registry=EMPTY_REGISTRY)
    resolver = EMPTY_REGISTRY.resolver_with_root(DRAFT202012.create_resource(schema))
    for reference in _references(schema):
        try:
            resolver.lookup(reference)
        except Unresolvable:
            raise DataError(f"{where}: the reference {reference!r} leads nowhere within the schema") from None
    return validator, resolver


def _references(schema: object) -> Iterator[str]:
    """What the parts of a schema point to."""
    if isinstance(schema, Mapping):
        yield from (schema[key] for key in _REFERENCE_KEYWORDS if isinstance(schema.get(key), str))
        parts: Sequence[object] = [value for key, value in schema.items() if key not in _DATA_KEYWORDS]
    else:
        parts = schema if isinstance(schema, (list, tuple)) else ()
    for part in parts:
        yield from _references(part)


def _takes_prose(name: str, tool: _Tool) -> bool:
    words = [word.lower() for word in _WORD.findall(name)]
    worded_freely = bool(words) and _SEARCH.isdisjoint(words) and not _PROSE.isdisjoint({words[-1], words[-1][:-1]})
    return worded_freely and _takes_any_text(tool.properties(tool.schema)[name])


def _takes_any_text(schema: object) -> bool:
    if not isinstance(schema, Mapping) or not _CLOSED_KEYWORDS.isdisjoint(schema):
        return False
    types = schema.get("type")
    if types == "string" or (isinstance(types, list) and "string" in types):
        return True
    return any(_takes_any_text(branch) for branch in schema.get("anyOf", ()))
