"""New conversations with the tool call that answers each of their turns."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from distil_dagster.simulator.call_maker import another_call, called_tools
from distil_dagster.simulator.comparing import Answer, read_value
from distil_dagster.simulator.knowledge import Row, Wanted
from distil_dagster.simulator.known import Known
from distil_dagster.simulator.pool import drawn
from distil_dagster.simulator.request_writer import RequestWriter, texts_in
from distil_dagster.simulator.turns import Turn
from distil_dagster.simulator.wording import clearly_reworded, plain_wording


class ConversationMaker:
    """Rewords what the users of a pool's conversations say; the calls stay, as they stay right."""

    def __init__(self, pool: Sequence[Known], writer: RequestWriter) -> None:
        self._pool = tuple(pool)
        self._writer = writer
        self._calls = [call for known in pool for call in known.calls]

    def other_answer(self, right: Answer | None, random: Random) -> Answer:
        """Another call than the right one."""
        return another_call(right, self._calls, self._writer, random)

    def examples(self, wanted: Wanted, random: Random) -> list[Row]:
        """Whole conversations that call the tool wanted; where none is known, others with a request of it in front."""
        tool = wanted.label
        fitting = [known for known in self._pool if tool is None or tool in called_tools(known)]
        if fitting:
            return [{"turns": _reworded(known, random)} for known in drawn(fitting, wanted, random)]
        if tool is not None and tool not in self._writer.tools:
            return []
        tool = tool or random.choice(self._writer.tools)
        followed = [_reworded(known, random) for known in drawn(self._pool, wanted, random)] or [[]] * wanted.count
        return [{"turns": [self._composed(tool, random), *turns]} for turns in followed]

    def wrong_examples(self, wanted: Wanted, random: Random) -> list[Row]:
        """Conversations with one wrong call."""
        rows = self.examples(wanted, random)
        for row in rows:
            turn = random.choice(row["turns"])
            turn["call"] = self.other_answer(turn["call"], random)
        return rows

    def _composed(self, tool: str, random: Random) -> Row:
        call = self._writer.call(tool, random)
        return {"role": "user", "content": self._writer.request(call, random), "call": call}


def _reworded(known: Known, random: Random) -> list[Row]:
    """The turns of a conversation in other words: what comes in, and the call that answers it."""
    kept = texts_in(known.answers)
    rows, heard, answers = list[Row](), list[Turn](), iter(known.answers)
    for turn in known.turns:
        if not turn.answers:
            heard.append(turn)
            continue
        rows.append({**_heard_at_once(heard, kept, random), "call": next(answers)})
        heard = []
    return rows


def _heard_at_once(heard: Sequence[Turn], kept: Sequence[str], random: Random) -> Row:
    """What came in before one call as one turn: a result that a user's turn follows says nothing that is answered."""
    asked = [turn for turn in heard if turn.role == "user"]
    if not asked:
        return {"role": "tool" if heard else "user", "content": "\n".join(turn.text for turn in heard)}
    parts = [
        turn.text if read_value(turn.text) is not None else _in_other_words(turn.text, kept, random) for turn in asked
    ]
    return {"role": "user", "content": "\n".join(parts)}


def _in_other_words(text: str, kept: Sequence[str], random: Random) -> str:
    return clearly_reworded(text, random, plain_wording(), kept)
