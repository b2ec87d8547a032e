"""A folder's right answers, read: gold answers of the traces, train and test rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeGuard

from distil_dagster.config.loading import JOB_DESCRIPTION
from distil_dagster.data.examples import Example
from distil_dagster.data.files import split_lines
from distil_dagster.data.folder import JobFolder
from distil_dagster.data.messages import Message, as_openai
from distil_dagster.data.normalise import parse_messages
from distil_dagster.data.rows import ExampleFile
from distil_dagster.errors import DataError
from distil_dagster.simulator.comparing import Answer, canonical, read_value
from distil_dagster.simulator.turns import Turn, last_said, turns_of

GOLD_FILE = "gold.jsonl"
TRACES_FILE = "traces.jsonl"


@dataclass(frozen=True)
class Known:
    """A conversation whose assistant turns hold the right answers, and these answers, in order.

    `context` is the passage that a question is about, where the folder gives one beside it.
    """

    turns: tuple[Turn, ...]
    answers: tuple[Answer, ...]
    context: str | None = None

    @property
    def question(self) -> str:
        """What the last answer answers."""
        return last_said(self.turns)

    @property
    def answer(self) -> Answer:
        """The last answer."""
        return self.answers[-1]

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The answers that are tool calls."""
        return [answer for answer in self.answers if is_call(answer)]


@dataclass(frozen=True)
class Logged:
    """A trace as it was logged, the kind of its noise, and what is known: none where nothing answers it."""

    turns: tuple[Turn, ...]
    noise: str
    known: Known | None

    @property
    def as_logged(self) -> Known | None:
        """The right answers to the users' turns as the log holds them, where these are damaged."""
        if self.known is None or not last_said(self.turns).strip() or len(self.known.answers) > 1:
            return None
        return replace(self.known, turns=_exchange(last_said(self.turns), self.known.answer), context=None)


@dataclass(frozen=True)
class KnownFolder:
    """What a folder gives to know, and the tools of its job, if it has any."""

    tools: tuple[dict[str, Any], ...]
    logged: tuple[Logged, ...]
    train: tuple[Known, ...]
    test: tuple[Known, ...]

    @property
    def logged_known(self) -> list[Known]:
        """The traces with known answers."""
        return [trace.known for trace in self.logged if trace.known is not None]

    @property
    def all(self) -> tuple[Known, ...]:
        """Every conversation with known answers."""
        return (*self.logged_known, *self.train, *self.test)

    @property
    def sound(self) -> list[Known]:
        """The traces to make new examples of: a damaged conversation cannot be told from its gold answers alone."""
        known = [(trace.noise, trace.known) for trace in self.logged if trace.known is not None]
        return [row for noise, row in known if noise != "corrupted" or len(row.answers) == 1]

    @property
    def whole_conversations(self) -> bool:
        """Whether conversations with several answers are known."""
        return any(len(known.answers) > 1 for known in self.all)


def is_call(answer: Answer | None) -> TypeGuard[dict[str, Any]]:
    """Whether an answer is a tool call: `{"name": …, "parameters": {…}}`."""
    return (
        isinstance(answer, dict) and isinstance(answer.get("name"), str) and isinstance(answer.get("parameters"), dict)
    )


def read_known(path: Path) -> KnownFolder:
    """Read a folder: `traces.jsonl` with `gold.jsonl`, `train` and `test` rows, as far as it has them.

    Raises:
        DataError: a file is malformed, or traces and gold do not align.
    """
    folder = JobFolder(path)
    tools = folder.job_description().tools if (path / JOB_DESCRIPTION).is_file() else ()
    logged = _logged(path, has_tools=bool(tools)) if (path / GOLD_FILE).is_file() else ()
    train, test = (_rows(rows, has_tools=bool(tools)) for rows in (folder.train(), folder.test()))
    return KnownFolder(tools, logged, train, test)


def _logged(folder: Path, *, has_tools: bool) -> tuple[Logged, ...]:
    traces, gold = _objects(folder / TRACES_FILE), _objects(folder / GOLD_FILE)
    if len(traces) != len(gold):
        raise DataError(f"{folder}: {TRACES_FILE} has {len(traces)} lines, {GOLD_FILE} {len(gold)}; they must align")
    found = []
    for line, (trace, known) in enumerate(zip(traces, gold, strict=True), start=1):
        if known is None:
            raise DataError(f"{folder / GOLD_FILE}: line {line} is not a JSON object")
        found.append(_logged_trace(trace, known, has_tools=has_tools))
    return tuple(found)


def _logged_trace(trace: Mapping[str, Any] | None, gold: Mapping[str, Any], *, has_tools: bool) -> Logged:
    turns = turns_of(_messages(trace or {}))
    if not turns:
        pair = Turn("user", str(gold.get("question") or "")), Turn("assistant", str(gold.get("observed") or ""))
        turns = tuple(turn for turn in pair if turn.text)
    noise = str(gold.get("orig_noise") or gold.get("noise") or "clean")
    return Logged(turns, noise, _gold_answers(turns, gold, has_tools=has_tools))


def _gold_answers(turns: tuple[Turn, ...], gold: Mapping[str, Any], *, has_tools: bool) -> Known | None:
    answer = gold.get("answer")
    if answer is None:
        return None
    if has_tools and isinstance(answer, str):
        answer = read_value(answer) or answer
    if isinstance(answer, list):
        return _answered(turns, answer)
    return Known(_exchange(str(gold.get("question") or last_said(turns)), answer), (answer,), _context(gold))


def _answered(turns: tuple[Turn, ...], answers: list[Answer]) -> Known | None:
    """The logged conversation with the right answers, as far as both go; none where it has no answer."""
    found, used = list[Turn](), 0
    for turn in turns:
        if turn.answers and used == len(answers):
            break
        found.append(Turn("assistant", canonical(answers[used])) if turn.answers else turn)
        used += turn.answers
    end = max((at for at, turn in enumerate(found, start=1) if turn.answers), default=0)
    return Known(tuple(found[:end]), tuple(answers[:used])) if used else None


def _rows(found: ExampleFile | None, *, has_tools: bool) -> tuple[Known, ...]:
    return tuple(_row(example, has_tools=has_tools) for example in found.examples) if found else ()


def _row(example: Example, *, has_tools: bool) -> Known:
    if not has_tools:
        return Known(_exchange(example.question, example.answer), (example.answer,), example.context)
    answers = [_call_or_text(message) for message in example.messages if message.role == "assistant"]
    return Known(turns_of(as_openai(example.messages)), tuple(answers), example.context)


def _call_or_text(message: Message) -> Answer:
    return message.tool_calls[0].as_answer() if message.tool_calls else message.content


def _exchange(question: str, answer: Answer) -> tuple[Turn, ...]:
    return Turn("user", question), Turn("assistant", canonical(answer))


def _context(row: Mapping[str, Any]) -> str | None:
    context = row.get("context")
    return context if isinstance(context, str) and context.strip() else None


def _messages(trace: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The conversation of a logged line, in whatever form it was logged; empty where it cannot be read."""
    held = trace.get("context")
    inside = read_value(held) if isinstance(held, str) else None
    if isinstance(inside, dict):
        trace = inside
    raw = trace.get("messages")
    if "input" in trace:
        raw = [*_as_messages(trace["input"], "user"), *_as_messages(trace.get("output"), "assistant")]
    messages = parse_messages(raw, images=True)
    if isinstance(messages, tuple):
        return as_openai(messages)
    return [message for message in raw if isinstance(message, dict)] if isinstance(raw, list) else []


def _as_messages(value: Any, role: str) -> list[Any]:
    """One side of a logged observation as messages: a list, an object that holds one, one message, or bare text."""
    if isinstance(value, dict) and isinstance(value.get("messages"), list):
        value = value["messages"]
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        return [{"role": role, "content": value}]
    return [value] if isinstance(value, dict) else []


def _objects(path: Path) -> list[dict[str, Any] | None]:
    """The objects of a JSONL file, line by line; none for a line that holds none: logs may be damaged."""
    try:
        lines = split_lines(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{path}: missing; the simulator reads the right answers beside it") from None
    return [_object(line) for _, line in lines]


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
