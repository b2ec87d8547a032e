"""From what the journal holds to what a caller gets: usable, to be asked for once more, or failed with a reason."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from pydantic import BaseModel

from distil_dagster.data.messages import ToolCall
from distil_dagster.llm.answers import RawAnswer, RawToolCall
from distil_dagster.llm.requests import Answered, Failed, Request
from distil_dagster.llm.structured import Invalid, read_structured, repair_messages

_SHOWN_CHARACTERS = 500


@dataclass(frozen=True)
class ToRepair:
    """An answer that does not fit what was asked, with the problem in words."""

    problem: str


def read_answer(request: Request, raw: RawAnswer, key: str, from_journal: bool) -> Answered | Failed | ToRepair:
    """Judge one answer against its request; the same answer always reads the same."""
    if raw.finish_reason == "length":
        tokens = raw.usage.completion_tokens
        return Failed("truncated", f"cut after {tokens} tokens; a higher max_tokens would let it end", key)
    if raw.finish_reason == "content_filter":
        return Failed("refused_by_provider", raw.text[:_SHOWN_CHARACTERS] or "filtered by the provider", key)
    parsed: BaseModel | None = None
    if request.schema is not None:
        structured = read_structured(raw.text, request.schema)
        if isinstance(structured, Invalid):
            return ToRepair(structured.problem)
        parsed = structured.value
    calls = _tool_calls(raw.tool_calls)
    if isinstance(calls, ToRepair):
        return calls
    return Answered(
        text=raw.text,
        parsed=parsed,
        tool_calls=calls,
        usage=raw.usage,
        cost_usd=raw.cost_usd,
        finish_reason=raw.finish_reason,
        key=key,
        from_journal=from_journal,
    )


def repair_request(request: Request, raw: RawAnswer, problem: str) -> Request:
    """The same conversation with the invalid reply and a message that says what is wrong with it."""
    text = raw.text or "\n".join(f"{call.name}({call.arguments})" for call in raw.tool_calls)
    turns = repair_messages(text, problem, structured=request.schema is not None)
    return replace(request, messages=(*request.messages, *turns))


def after_repair(request: Request, raw: RawAnswer, key: str, from_journal: bool) -> Answered | Failed:
    """Judge the answer to a repair request: there is no second one."""
    reading = read_answer(request, raw, key, from_journal)
    if isinstance(reading, ToRepair):
        return Failed("invalid_answer", f"{reading.problem} It was: {raw.text[:_SHOWN_CHARACTERS]}", key)
    return reading


def _tool_calls(calls: tuple[RawToolCall, ...]) -> tuple[ToolCall, ...] | ToRepair:
    read: list[ToolCall] = []
    for call in calls:
        try:
            arguments = json.loads(call.arguments)
        except (ValueError, RecursionError):
            arguments = None
        if not isinstance(arguments, dict):
            return ToRepair(f"the arguments of the call of {call.name} are not a JSON object.")
        read.append(ToolCall(name=call.name, arguments=arguments, id=call.id))
    return tuple(read)
