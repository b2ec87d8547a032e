"""New requests with the tool calls that fulfil them."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from distil_dagster.simulator.comparing import Answer
from distil_dagster.simulator.knowledge import Row, Wanted
from distil_dagster.simulator.known import Known, is_call
from distil_dagster.simulator.pool import drawn
from distil_dagster.simulator.request_writer import Call, RequestWriter, texts_in
from distil_dagster.simulator.wording import clearly_reworded, plain_wording


class CallMaker:
    """Rewords the requests of a pool, and composes requests of tools that no known request calls."""

    def __init__(self, pool: Sequence[Known], writer: RequestWriter) -> None:
        self._pool = tuple(pool)
        self._writer = writer
        self._calls = [call for known in pool for call in known.calls]

    def other_answer(self, right: Answer | None, random: Random) -> Answer:
        """Another call than the right one."""
        return another_call(right, self._calls, self._writer, random)

    def examples(self, wanted: Wanted, random: Random) -> list[Row]:
        """Requests of the tool wanted, or of any, with the calls of the known requests behind them."""
        tool = wanted.label
        fitting = [known for known in self._pool if tool is None or called_tools(known) == {tool}]
        if fitting:
            return [_row(reworded_request(known, random), known.answer) for known in drawn(fitting, wanted, random)]
        if tool is not None and tool not in self._writer.tools:
            return []
        calls = (self._writer.call(tool or random.choice(self._writer.tools), random) for _ in range(wanted.count))
        return [_row(self._writer.request(call, random), call) for call in calls]

    def wrong_examples(self, wanted: Wanted, random: Random) -> list[Row]:
        """Requests with other calls than the right ones, of the same tool where that can be."""
        return [row | {"answer": self._wrong(row["answer"], random)} for row in self.examples(wanted, random)]

    def _wrong(self, right: Call, random: Random) -> Answer:
        return self._writer.with_another_argument(right, random) or self.other_answer(right, random)


def another_call(right: Answer | None, known: Sequence[Call], writer: RequestWriter, random: Random) -> Answer:
    """A call that is not the right one; any where the right one is not known."""
    if is_call(right):
        return writer.other_call(right, known, random)
    return random.choice(known) if known else writer.call(random.choice(writer.tools), random)


def called_tools(known: Known) -> set[str]:
    """The tools that a conversation calls."""
    return {call["name"] for call in known.calls}


def reworded_request(known: Known, random: Random) -> str:
    """A known request in other words; what its call's arguments quote stays."""
    return clearly_reworded(known.question, random, plain_wording(), texts_in(known.answers))


def _row(question: str, answer: Answer) -> Row:
    return {"question": question, "answer": answer}
