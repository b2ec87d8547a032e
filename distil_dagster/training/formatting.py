"""Chat rows as the student reads them: token ids by its own chat template, and which of them are trained.

A training row is `prompt | answer | end of turn`. Its labels repeat the ids of answer and end of turn, and are -100 (no
loss) on the prompt: the prompt is tokenized alone, exactly as it will be before generation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distil_dagster.config.catalogue import ToolFormat
from distil_dagster.data.messages import Message, ToolCall
from distil_dagster.errors import TrainingError
from distil_dagster.tasks.tool_syntax import render_calls
from distil_dagster.training.families import PINS, Family, family_of
from distil_dagster.training.rows import ChatRow

IGNORED = -100
# Where a family has published templates that leave calls out, or that do not escape the texts in them.
_CALLS_AS_TEXT: Mapping[ToolFormat, Path] = {"lfm2": Path(__file__).parent / "templates" / "lfm2_calls.jinja"}
_PROBED_TOOL = {
    "type": "function",
    "function": {"name": "distil", "description": "", "parameters": {"type": "object", "properties": {}}},
}
_AWKWARD_CALL = ToolCall(name="distil", arguments={"text": "it's\na \\"})


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
    """A student's tokenizer and template, and the tokens that end an assistant's turn, as a text and as a call."""

    tokenizer: Any
    family: Family
    end_of_turn_id: int
    end_of_call_id: int
    max_length: int

    @property
    def end_of_turn(self) -> str:
        """The text of the token that ends an assistant's turn."""
        return str(self.tokenizer.convert_ids_to_tokens(self.end_of_turn_id))

    def end_of(self, row: ChatRow) -> str:
        """The text of the token that ends the row's answer: some families end a call otherwise than a text."""
        is_call = any(message.get("tool_calls") for message in row.completion)
        return str(self.tokenizer.convert_ids_to_tokens(self.end_of_call_id if is_call else self.end_of_turn_id))

    @property
    def stop_ids(self) -> frozenset[int]:
        """The tokens that end what the student writes: those of its template, and those of its family that it has."""
        vocabulary = self.tokenizer.get_vocab()
        named = {vocabulary[token] for token in self.family.stop_tokens if token in vocabulary}
        return frozenset({self.end_of_turn_id, self.end_of_call_id, *named})

    @property
    def pad_id(self) -> int:
        """The token that fills up a batch."""
        return int(self.tokenizer.pad_token_id)

    def prompt_text(self, row: ChatRow) -> str:
        """The conversation up to where the assistant begins to write.

        Raises:
            TrainingError: the template refuses the conversation, as some do where roles do not alternate.
        """
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
            TrainingError: the template refuses the conversation, writes it otherwise once it is answered, never ends
                the turn, or leaves out what the assistant calls, as templates that know no tools do.
        """
        prompt = self.prompt_text(row)
        whole = self._render(row, (*row.prompt, *row.completion), add_generation_prompt=False)
        if not whole.startswith(prompt):
            raise TrainingError(f"row {row.id}: the student's chat template changes the prompt once it is answered")
        answer, end, _ = whole[len(prompt) :].rpartition(self.end_of(row))
        if not end:
            raise TrainingError(
                f"row {row.id}: the student's chat template does not end the answer in {self.end_of(row)}"
            )
        lost = [name for name in _called(row) if name not in answer]
        if lost:
            raise TrainingError(f"row {row.id}: the student's chat template leaves out the call of {lost[0]}")
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
        from jinja2 import TemplateError

        try:
            return _render(self.tokenizer, messages, row.tools, add_generation_prompt=add_generation_prompt)
        except TemplateError as error:
            raise TrainingError(
                f"row {row.id}: the student's chat template refuses the conversation: {error}"
            ) from None

    def _fitting(self, row: ChatRow, ids: list[int]) -> list[int]:
        if len(ids) > self.max_length:
            raise TrainingError(
                f"row {row.id}: {len(ids)} tokens, and the student reads at most {self.max_length}; "
                "lower synthgen.validation_max_total_length, or take another base.student_model_name"
            )
        return ids


def _called(row: ChatRow) -> list[str]:
    """The names of the tools that the answer calls."""
    return [call["function"]["name"] for message in row.completion for call in message.get("tool_calls") or ()]


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
    family = family_of(student, tokenizer.get_vocab())
    tokenizer.chat_template = pin_template(tokenizer.chat_template)
    end_of_turn_id = _end_of_turn_id(student, tokenizer)
    tokenizer.chat_template = with_calls(tokenizer, family.tool_format)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token_id = end_of_turn_id
    end_of_call_id = _end_of_call_id(tokenizer, end_of_turn_id)
    return ChatFormat(tokenizer, family, end_of_turn_id, end_of_call_id, int(tokenizer.model_max_length))


def pin_template(template: str) -> str:
    """The template with a fixed value for what would otherwise change from call to call: thinking, today's date.

    Written into the template, so that training, evaluation and every server see one and the same prompt.
    """
    pins = [
        f"{{%- set {name} = {value} -%}}"
        for name, value in PINS.items()
        if name in template and f"set {name} = {value} -" not in template
    ]
    return "".join(pins) + template


def with_calls(tokenizer: Any, tool_format: ToolFormat | None) -> str:
    """The tokenizer's template, made to write calls as `tool_format` has them where by itself it would lose them.

    LFM2's first template leaves calls out; LFM2.5's does not escape texts, so that a quote in one ends it for a server.
    """
    template = str(tokenizer.chat_template)
    if tool_format is None or tool_format not in _CALLS_AS_TEXT:
        return template
    if render_calls(tool_format, [_AWKWARD_CALL]) in _written(tokenizer, _AWKWARD_CALL):
        return template
    return _CALLS_AS_TEXT[tool_format].read_text(encoding="utf-8") + template


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
    from jinja2 import TemplateError

    probe = "distil"
    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": probe}]
    try:
        text = _render(tokenizer, messages, None, add_generation_prompt=False)
    except TemplateError as error:
        raise TrainingError(f"{student}: the chat template cannot write a question and its answer: {error}") from None
    after = tokenizer(text.rpartition(probe)[2].lstrip(), add_special_tokens=False)["input_ids"]
    if not after or after[0] not in tokenizer.added_tokens_decoder:
        raise TrainingError(f"{student}: the chat template ends an assistant's turn without a special token")
    return int(after[0])


def _end_of_call_id(tokenizer: Any, end_of_turn_id: int) -> int:
    """The last special token behind a call; the end of any turn where the template writes no calls."""
    behind = _written(tokenizer, ToolCall(name="distil")).rpartition("distil")[2]
    ids = tokenizer(behind, add_special_tokens=False)["input_ids"]
    return next((token for token in reversed(ids) if token in tokenizer.added_tokens_decoder), end_of_turn_id)


def _written(tokenizer: Any, call: ToolCall) -> str:
    """A conversation that ends in the call, as the template writes it; nothing where it refuses calls."""
    from jinja2 import TemplateError

    messages = [{"role": "user", "content": "?"}, Message(role="assistant", tool_calls=(call,)).as_openai()]
    try:
        return _render(tokenizer, messages, [_PROBED_TOOL], add_generation_prompt=False)
    except (TemplateError, TypeError):
        return ""
