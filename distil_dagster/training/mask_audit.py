"""Before training: what is trained on is exactly the answer and the end of turn, shown by decoding it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from distil_dagster.errors import TrainingError
from distil_dagster.tasks.tool_syntax import NoCalls, parse_calls
from distil_dagster.training.formatting import IGNORED, ChatFormat, TrainingRow
from distil_dagster.training.rows import ChatRow

_SHOWN_ROWS = 3
_SHOWN_CHARACTERS = 120


@dataclass(frozen=True)
class MaskAudit:
    """What the audit of one training set found; it found no difference, or it would have raised.

    `unreadable_calls` are calls whose values the student's family cannot write so that they could be read again.
    """

    rows: int
    trained_tokens: int
    all_tokens: int
    table: str
    unreadable_calls: int = 0

    def __str__(self) -> str:
        share = f"{self.trained_tokens} of {self.all_tokens} tokens"
        unreadable = f"; {self.unreadable_calls} calls do not read back as they are" if self.unreadable_calls else ""
        return f"mask audit: {self.rows} rows, {share} trained, all of them the target{unreadable}"


def audit_masks(rows: Sequence[ChatRow], formatted: Sequence[TrainingRow], chat: ChatFormat) -> MaskAudit:
    """Decode what every row trains on and compare it with the row's own target.

    Raises:
        TrainingError: a row trains on something else; names the first one and shows both texts. Or most calls of tools
            do not read back from what is trained: then it is the chat template that does not write them.
    """
    for row, tokens in zip(rows, formatted, strict=True):
        _audit(row, tokens, chat)
    calling = [row for row in rows if _calls(row)]
    unreadable = [row for row in calling if not _reads_back(row, chat)]
    if len(unreadable) > len(calling) / 2:
        written = chat.completion_text(unreadable[0])
        raise TrainingError(
            f"row {unreadable[0].id}: the student's chat template changes the call of a tool: {written!r}"
        )
    return MaskAudit(
        rows=len(rows),
        trained_tokens=sum(len(tokens.trained_ids) for tokens in formatted),
        all_tokens=sum(len(tokens.input_ids) for tokens in formatted),
        table=_table(formatted[:_SHOWN_ROWS], chat),
        unreadable_calls=len(unreadable),
    )


def _audit(row: ChatRow, tokens: TrainingRow, chat: ChatFormat) -> None:
    trained = [at for at, label in enumerate(tokens.labels) if label != IGNORED]
    if [tokens.input_ids[at] for at in trained] != tokens.trained_ids:
        raise TrainingError(f"row {row.id}: the labels are not the row's own tokens")
    untrained = tokens.input_ids[: len(tokens.input_ids) - len(trained)]
    if (found := chat.decode(untrained)) != (prompt := chat.prompt_text(row)):
        raise _difference(row, "leaves out", found, prompt)
    if not _is_target(found := chat.decode(tokens.trained_ids), row, chat):
        raise _difference(row, "trains on", found, _target(row, chat))


def _is_target(trained: str, row: ChatRow, chat: ChatFormat) -> bool:
    target = _target(row, chat)
    if _calls(row):
        return trained == target
    # Some templates strip the space around an answer.
    written, answer = (text.removesuffix(chat.end_of_turn) for text in (trained, target))
    return trained.endswith(chat.end_of_turn) and written in answer and written.strip() == answer.strip()


def _target(row: ChatRow, chat: ChatFormat) -> str:
    """The target as the row itself says it; calls of tools are in the words of the student's family."""
    return chat.completion_text(row) if _calls(row) else str(row.completion[0]["content"]) + chat.end_of_turn


def _calls(row: ChatRow) -> bool:
    return bool(row.completion[0].get("tool_calls"))


def _reads_back(row: ChatRow, chat: ChatFormat) -> bool:
    """Whether what is trained is read as the very calls of the row, as what the student writes will be."""
    asked = [call["function"] for call in row.completion[0]["tool_calls"]]
    read = parse_calls(chat.completion_text(row).removesuffix(chat.end_of(row)))
    return not isinstance(read, NoCalls) and [(call.name, call.arguments) for call in read] == [
        (call["name"], call["arguments"]) for call in asked
    ]


def _difference(row: ChatRow, what: str, found: str, wanted: str) -> TrainingError:
    return TrainingError(f"row {row.id}: training {what} {found!r} where it should be {wanted!r}")


def _table(rows: Sequence[TrainingRow], chat: ChatFormat) -> str:
    lines = ["| row | not trained (end) | trained | tokens trained |", "|---|---|---|---|"]
    for row in rows:
        count = len(row.trained_ids)
        prompt = chat.decode(row.input_ids[:-count])[-_SHOWN_CHARACTERS:]
        answer = chat.decode(row.trained_ids)
        lines.append(f"| {_cell(row.id)} | {_cell('…' + prompt)} | {_cell(answer)} | {count} of {len(row.input_ids)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    escaped = text.replace("|", "\\|").replace("\n", "⏎").replace("`", "'")
    return f"`{escaped}`"
