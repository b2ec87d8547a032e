"""Composes tool calls from the tools' schemas, and requests that name every argument of a call."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from distil_dagster.data.messages import ToolCall
from distil_dagster.simulator.wording import clearly_reworded, phrases, plain_wording
from distil_dagster.tasks.toolbox import Toolbox

Call = dict[str, Any]
_OPTIONAL_SHARE = 0.5
_TRIES = 20
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_DEEPEST = 4


class RequestWriter:
    """Calls of the tools of a job, with arguments like those of known calls where there are any."""

    def __init__(self, tools: Sequence[Mapping[str, Any]], known: Sequence[Call]) -> None:
        self._toolbox = Toolbox(tools)
        self._schemas = {tool["function"]["name"]: tool["function"]["parameters"] for tool in self._toolbox.tools}
        self._met: dict[tuple[str, str], list[Any]] = {}
        for call in known:
            for name, value in call["parameters"].items():
                for tool in (call["name"], ""):
                    met = self._met.setdefault((tool, name), [])
                    if value not in met:
                        met.append(value)

    @property
    def tools(self) -> tuple[str, ...]:
        """The names of the tools."""
        return self._toolbox.names

    def is_valid(self, call: Call) -> bool:
        """Whether a call satisfies its tool's schema."""
        return self._toolbox.problem_with(ToolCall(name=call["name"], arguments=call["parameters"])) is None

    def call(self, tool: str, random: Random) -> Call:
        """A call of a tool, valid as far as values can be made up; some optional arguments are left out."""
        call = {"name": tool, "parameters": {}}
        for _ in range(_TRIES):
            call = {"name": tool, "parameters": self._arguments(tool, random)}
            if self.is_valid(call):
                break
        return call

    def request(self, call: Call, random: Random) -> str:
        """A request that says what the tool does and names every argument of the call."""
        details = " ".join(_detail(name, value, random) for name, value in call["parameters"].items())
        frame = str(random.choice(phrases()["requests"]))
        text = " ".join(frame.format(purpose=self._purpose(call["name"]), details=details).split())
        # Tools without parameters would else have few requests.
        return clearly_reworded(text, random, plain_wording(), texts_in(call["parameters"]))

    def other_call(self, right: Call, known: Sequence[Call], random: Random) -> Call:
        """A wrong call in place of a right one: an argument changed, or another tool called."""
        ways = [self.with_another_argument(right, random)]
        ways.append(self._of_another_tool(right, known, random))
        random.shuffle(ways)
        ways += [call for call in known if call != right]
        return next((call for call in ways if call is not None and call != right), {**right, "parameters": {}})

    def _of_another_tool(self, right: Call, known: Sequence[Call], random: Random) -> Call | None:
        others = [tool for tool in self.tools if tool != right["name"]]
        if not others:
            return None
        tool = random.choice(others)
        of_tool = [call for call in known if call["name"] == tool]
        return random.choice(of_tool) if of_tool else self.call(tool, random)

    def with_another_argument(self, right: Call, random: Random) -> Call | None:
        """A valid call of the same tool that differs in one argument; none where none is found."""
        names = sorted(right["parameters"])
        properties = self._schemas.get(right["name"], {}).get("properties", {})
        for _ in range(_TRIES if names else 0):
            name = random.choice(names)
            schema = properties.get(name, {})
            # The only value that was ever met may be the right one.
            value = random.choice((self._value(right["name"], name, schema, random), made_up(name, schema, random)))
            changed = {**right, "parameters": {**right["parameters"], name: value}}
            if value != right["parameters"][name] and self.is_valid(changed):
                return changed
        return None

    def _arguments(self, tool: str, random: Random) -> dict[str, Any]:
        schema = self._schemas.get(tool, {})
        required = schema.get("required", ())
        return {
            name: self._value(tool, name, inner, random)
            for name, inner in schema.get("properties", {}).items()
            if name in required or random.random() < _OPTIONAL_SHARE
        }

    def _value(self, tool: str, name: str, schema: Any, random: Random) -> Any:
        """A value met in known calls of the tool, else of another tool, else one made up."""
        met = self._met.get((tool, name)) or self._met.get(("", name))
        # Values with a closed set are drawn from all of it.
        if met and not (isinstance(schema, Mapping) and schema.keys() & {"enum", "const"}):
            return random.choice(met)
        return made_up(name, schema, random)

    def _purpose(self, tool: str) -> str:
        """What a tool does, as the end of a sentence: the first one of its description, or its name."""
        described = re.split(r"(?<=[.!?])\s", self._toolbox.descriptions[tool].strip())[0].rstrip(".!? ")
        text = described or _as_words(tool)
        return text[:1].lower() + text[1:]


def texts_in(value: Any) -> list[str]:
    """All texts inside a JSON value, keys left out."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return [text for each in inner for text in texts_in(each)]


def made_up(name: str, schema: Any, random: Random, depth: int = 0) -> Any:
    """A plausible value of a parameter by its JSON schema; what a pattern demands is not guessed."""
    schema = schema if isinstance(schema, Mapping) else {}
    for choice in ("anyOf", "oneOf"):
        if schema.get(choice):
            schema = schema[choice][0]
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return random.choice(schema["enum"])
    if schema.get("examples"):
        return random.choice(schema["examples"])
    kind = schema.get("type", "string")
    return _BY_TYPE.get(kind if isinstance(kind, str) else kind[0], _text)(name, schema, random, depth)


def _text(name: str, schema: Mapping[str, Any], random: Random, _depth: int) -> str:
    words = _as_words(name)
    known = phrases()["values"]
    day = f"{random.randint(2021, 2029)}-{random.randint(1, 12):02}-{random.randint(1, 28):02}"
    time = f"{random.randint(0, 23):02}:{random.choice((0, 15, 30, 45)):02}"
    by_format = {
        "date": day,
        "time": time,
        "date-time": f"{day}T{time}:00Z",
        "email": f"{random.choice(known['words'])}@example.com",
    }
    hint = schema.get("format") or next((hint for hint in by_format if hint in words), "")
    if hint in by_format:
        return by_format[hint]
    if any(hint in words for hint in ("city", "place", "location", "town", "address", "destination")):
        return str(random.choice(known["places"]))
    if any(hint in words for hint in ("name", "person", "recipient", "receiver", "author")):
        return str(random.choice(known["people"]))
    text = " ".join(random.sample(known["words"], 2))
    return text.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength")]


def _integer(_name: str, schema: Mapping[str, Any], random: Random, _depth: int) -> int:
    low = int(schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1))
    return random.randint(low, max(low, int(schema.get("maximum", low + 40))))


def _number(name: str, schema: Mapping[str, Any], random: Random, depth: int) -> float:
    whole = _integer(name, schema, random, depth)
    return whole + 0.5 if whole + 0.5 <= schema.get("maximum", whole + 1) else float(whole)


def _boolean(_name: str, _schema: Mapping[str, Any], random: Random, _depth: int) -> bool:
    return random.random() < 1 / 2


def _list(name: str, schema: Mapping[str, Any], random: Random, depth: int) -> list[Any]:
    low = schema.get("minItems", 1)
    count = random.randint(low, max(low, min(schema.get("maxItems", low + 2), low + 2)))
    return [made_up(name, schema.get("items", {}), random, depth + 1) for _ in range(count if depth < _DEEPEST else 0)]


def _object(_name: str, schema: Mapping[str, Any], random: Random, depth: int) -> dict[str, Any]:
    properties = schema.get("properties", {}) if depth < _DEEPEST else {}
    return {name: made_up(name, inner, random, depth + 1) for name, inner in properties.items()}


def _nothing(_name: str, _schema: Mapping[str, Any], _random: Random, _depth: int) -> None:
    return None


_BY_TYPE = {
    "string": _text,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "array": _list,
    "object": _object,
    "null": _nothing,
}


def _detail(name: str, value: Any, random: Random) -> str:
    shown = f'"{value}"' if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return str(random.choice(phrases()["details"])).format(name=_as_words(name), value=shown)


def _as_words(name: str) -> str:
    return " ".join(word if word.isupper() else word.lower() for word in _WORD.findall(name))
