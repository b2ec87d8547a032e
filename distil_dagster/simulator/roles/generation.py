"""Writes new examples of a class."""

from __future__ import annotations

from typing import Any

from distil_dagster.simulator.call import Call, json_blocks, text_block
from distil_dagster.simulator.knowledge import Knowledge, QuestionAnswer
from distil_dagster.simulator.roles.chance import Chance


def generate(call: Call, knowledge: Knowledge, chance: Chance) -> dict[str, Any]:
    """As many examples as `<count>` asks for, all labelled `<class>`.

    An error is an example whose question belongs to another class, as of a model that misreads what it is to write.
    """
    class_name = text_block(call.prompt, "class") or chance.random.choice(knowledge.classes)
    exemplars = _exemplars(call)
    wrong = sum(chance.errs() for _ in range(_count(call)))
    right = knowledge.generate(class_name, _count(call) - wrong, chance.random, exemplars)
    others = [name for name in knowledge.classes if name != class_name] or [class_name]
    strays = [
        stray for _ in range(wrong) for stray in knowledge.generate(chance.random.choice(others), 1, chance.random, [])
    ]
    examples = right + strays
    chance.random.shuffle(examples)
    return {"examples": [{"question": example.question, "answer": class_name} for example in examples]}


def _count(call: Call) -> int:
    count = text_block(call.prompt, "count")
    return int(count) if count.isdigit() else 1


def _exemplars(call: Call) -> list[QuestionAnswer]:
    return [
        QuestionAnswer(str(value.get("question", "")), str(value.get("answer", "")))
        for _, value in json_blocks(call.prompt, "example")
        if isinstance(value, dict)
    ]
