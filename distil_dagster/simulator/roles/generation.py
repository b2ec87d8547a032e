"""Writes new examples: of a class, of a tool, about a passage, or like those shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from distil_dagster.simulator.call import Call, json_blocks, text_block
from distil_dagster.simulator.comparing import normalised
from distil_dagster.simulator.knowledge import Knowledge, Wanted
from distil_dagster.simulator.roles.chance import Chance
from distil_dagster.simulator.turns import said, turns_of


def generate(call: Call, knowledge: Knowledge, chance: Chance) -> dict[str, Any]:
    """As many examples as `<count>` asks for, of the `<class>` or `<tool>` or about the `<context>`.

    An error is an example whose answer is wrong, as of a model that misreads what it is to write.
    """
    wanted = _wanted(call)
    wrong = sum(chance.errs() for _ in range(wanted.count))
    examples = knowledge.examples(replace(wanted, count=wanted.count - wrong), chance.random)
    if wrong:
        examples += knowledge.wrong_examples(replace(wanted, count=wrong), chance.random)
    chance.random.shuffle(examples)
    return {"examples": examples}


def _wanted(call: Call) -> Wanted:
    count = text_block(call.prompt, "count")
    return Wanted(
        count=int(count) if count.isdigit() else 1,
        label=text_block(call.prompt, "class") or text_block(call.prompt, "tool") or None,
        context=text_block(call.prompt, "context") or None,
        shown=frozenset(_said(value) for _, value in json_blocks(call.prompt, "example") if isinstance(value, dict)),
    )


def _said(example: dict[str, Any]) -> str:
    """What users and tools say in an exemplar, as it is compared."""
    messages = example.get("messages")
    if isinstance(messages, list):
        return said(turns_of([message for message in messages if isinstance(message, dict)]))
    return normalised(str(example.get("question", "")))
