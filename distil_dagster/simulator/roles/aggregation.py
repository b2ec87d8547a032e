"""Picks the final answer among a committee's candidates."""

from __future__ import annotations

from collections import Counter

from distil_dagster.simulator.call import Call, text_blocks
from distil_dagster.simulator.comparing import Answer, canonical, read_value, same_answer
from distil_dagster.simulator.knowledge import Knowledge
from distil_dagster.simulator.roles.answering import asked_in_block, asks_for_text, repair
from distil_dagster.simulator.roles.chance import Chance


def aggregate(call: Call, knowledge: Knowledge, chance: Chance) -> dict[str, Answer]:
    """The right candidate, at the error rate a wrong one; the most frequent where none is right."""
    candidates = _candidates(call)
    if not candidates:
        return {**repair(call, knowledge, chance), "reason": "There are no candidates that could be read."}
    right = knowledge.answer(asked_in_block(call))
    agreeing = [candidate for candidate in candidates if same_answer(candidate, right)]
    differing = [candidate for candidate in candidates if not same_answer(candidate, right)]
    if not agreeing:
        return {"answer": _most_frequent(candidates), "reason": "Most candidates agree on it."}
    if differing and chance.errs():
        return {"answer": chance.random.choice(differing), "reason": "It fits the conversation best."}
    return {"answer": agreeing[0], "reason": "It fits the conversation best."}


def _candidates(call: Call) -> list[Answer]:
    """The candidates in the form that the schema asks for; those that have another form are no candidates."""
    texts = text_blocks(call.prompt, "candidate")
    if asks_for_text(call):
        return list(texts)
    return [value for text in texts if (value := read_value(text)) is not None]


def _most_frequent(candidates: list[Answer]) -> Answer:
    (most, _), *_ = Counter(map(canonical, candidates)).most_common(1)
    return next(candidate for candidate in candidates if canonical(candidate) == most)
