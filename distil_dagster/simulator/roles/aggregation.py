"""Picks the final answer among a committee's candidates."""

from __future__ import annotations

from collections import Counter

from distil_dagster.simulator.call import Call, conversation, last_text, text_blocks
from distil_dagster.simulator.knowledge import Knowledge, normalised
from distil_dagster.simulator.roles.answering import repair
from distil_dagster.simulator.roles.chance import Chance


def aggregate(call: Call, knowledge: Knowledge, chance: Chance) -> dict[str, str]:
    """The right candidate, at the error rate a wrong one; the most frequent where none is right."""
    candidates = text_blocks(call.prompt, "candidate")
    if not candidates:
        return {**repair(call, knowledge, chance), "reason": "There are no candidates."}
    right = knowledge.answer(last_text(conversation(call.prompt), "user"))
    agreeing = [text for text in candidates if right is not None and normalised(text) == normalised(right)]
    differing = [text for text in candidates if text not in agreeing]
    if not agreeing:
        return {"answer": Counter(candidates).most_common(1)[0][0], "reason": "Most candidates agree on it."}
    if differing and chance.errs():
        return {"answer": chance.random.choice(differing), "reason": "It fits the conversation best."}
    return {"answer": agreeing[0], "reason": "It fits the conversation best."}
