"""Chat rows as the student reads them: token ids by its own chat template, and which of them are trained.

A training row is `prompt | answer | end of turn`. Its labels repeat the ids of answer and end of turn, and are -100 (no
loss) on the prompt: the prompt is tokenized alone, exactly as it will be before generation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distil_dagster.errors import TrainingError
from distil_dagster.training.rows import ChatRow

IGNORED = -100
# What templates would otherwise take from the caller or the calendar: written into the template, so that training,
# evaluation and every server see one and the same prompt.
_PINNED = {"enable_thinking": "false", "date_string": "'26 Jul 2024'"}


@dataclass(frozen=True)
class TrainingRow:
    """Token ids and labels of one conversation, equally long."""

    id: str
    input_ids: list[int]
    labels: list[int]

    @property
    def trained_ids(self) -> list[int]:
        """The ids that have a loss."""
        return [label for label in self.labels if label != IGNORED]


@dataclass(frozen=True)
class ChatFormat:
    """A student's tokenizer and template, and the token that ends an assistant's turn."""

    tokenizer: Any
    end_of_turn_id: int
    max_length: int

    @property
    def end_of_turn(self) -> str:
        """The text of the token that ends an assistant's turn."""
        return str(self.tokenizer.convert_ids_to_tokens(self.end_of_turn_id))

    @property
    def pad_id(self) -> int:
        """The token that fills up a batch."""
        return int(self.tokenizer.pad_token_id)

    def prompt_text(self, row: ChatRow) -> str:
        """The conversation up to where the assistant begins to write."""
        return self._render(row, row.prompt, add_generation_prompt=True)

    def prompt_ids(self, row: ChatRow) -> list[int]:
        """The prompt's token ids.

        Raises:
            TrainingError: the prompt is longer than the student can read.
        """
        return self._fitting(row, self.encode(self.prompt_text(row)))

    def completion_text(self, row: ChatRow) -> str:
        """What the assistant writes after the prompt, up to and with the end of its turn.

        Raises:
            TrainingError: the template writes the conversation otherwise once it is answered, or never ends the turn.
        """
        prompt = self.prompt_text(row)
        whole = self._render(row, (*row.prompt, *row.completion), add_generation_prompt=False)
        if not whole.startswith(prompt):
            raise TrainingError(f"row {row.id}: the student's chat template changes the prompt once it is answered")
        answer, end, _ = whole[len(prompt) :].rpartition(self.end_of_turn)
        if not end:
            raise TrainingError(
                f"row {row.id}: the student's chat template does not end the answer in {self.end_of_turn}"
            )
        return answer + end

    def training_row(self, row: ChatRow) -> TrainingRow:
        """The row's ids, with labels on the answer and the end of turn alone.

        Raises:
            TrainingError: the row is longer than the student can read, or its template does not fit (see above).
        """
        prompt = self.encode(self.prompt_text(row))
        completion = self.encode(self.completion_text(row))
        ids = self._fitting(row, prompt + completion)
        return TrainingRow(row.id, ids, [IGNORED] * len(prompt) + completion)

    def encode(self, text: str) -> list[int]:
        """Token ids of text that has its special tokens written out."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids, special tokens written out."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def _render(self, row: ChatRow, messages: Sequence[dict[str, Any]], *, add_generation_prompt: bool) -> str:
        return _render(self.tokenizer, messages, row.tools, add_generation_prompt=add_generation_prompt)

    def _fitting(self, row: ChatRow, ids: list[int]) -> list[int]:
        if len(ids) > self.max_length:
            raise TrainingError(
                f"row {row.id}: {len(ids)} tokens, and the student reads at most {self.max_length}; "
                "lower synthgen.validation_max_total_length, or take another base.student_model_name"
            )
        return ids


def load_chat_format(student: Path) -> ChatFormat:
    """Read a student's tokenizer.

    Raises:
        TrainingError: the folder has no tokenizer, no chat template, or one without an end of turn.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(student)
    except (OSError, ValueError) as error:
        raise TrainingError(f"{student}: no tokenizer that can be read: {error}") from None
    if not isinstance(tokenizer.chat_template, str):
        raise TrainingError(f"{student}: the tokenizer has no chat template; students are instruction-tuned models")
    tokenizer.chat_template = pin_template(tokenizer.chat_template)
    end_of_turn_id = _end_of_turn_id(student, tokenizer)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token_id = end_of_turn_id
    return ChatFormat(tokenizer, end_of_turn_id, int(tokenizer.model_max_length))


def pin_template(template: str) -> str:
    """The template with a fixed value for what would otherwise change from call to call: thinking, today's date."""
    pins = [
        f"{{%- set {name} = {value} -%}}"
        for name, value in _PINNED.items()
        if name in template and f"set {name} = {value} -" not in template
    ]
    return "".join(pins) + template


def _render(
    tokenizer: Any,
    messages: Sequence[dict[str, Any]],
    tools: Sequence[dict[str, Any]] | None,
    *,
    add_generation_prompt: bool,
) -> str:
    rendered = tokenizer.apply_chat_template(
        list(messages),
        tools=list(tools) if tools else None,
        add_generation_prompt=add_generation_prompt,
        tokenize=False,
    )
    return str(rendered)


def _end_of_turn_id(student: Path, tokenizer: Any) -> int:
    probe = "distil"
    text = _render(
        tokenizer,
        [{"role": "user", "content": "?"}, {"role": "assistant", "content": probe}],
        None,
        add_generation_prompt=False,
    )
    after = tokenizer(text.rpartition(probe)[2].lstrip(), add_special_tokens=False)["input_ids"]
    if not after or after[0] not in tokenizer.added_tokens_decoder:
        raise TrainingError(f"{student}: the chat template ends an assistant's turn without a special token")
    return int(after[0])
