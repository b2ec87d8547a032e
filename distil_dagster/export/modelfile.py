"""The Modelfile with which Ollama serves a merged model as it was trained.

Ollama has its own template language and does not read the model's chat template. A conversation rendered with Ollama's
placeholders in the places of the texts is that template in Ollama's language.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distil_dagster.training.formatting import ChatFormat, load_chat_format
from distil_dagster.training.rows import ChatRow

# Ollama reserves memory for the whole context.
_CONTEXT = 8192
_SYSTEM = {"role": "system", "content": "{{ .System }}"}
_QUESTION = {"role": "user", "content": "{{ .Prompt }}"}
# Ollama would put a Modelfile's MESSAGE lines before the messages of a request, which may bring the examples as well.
# So the template has them, and of a request takes the last question alone.
_LAST_QUESTION = {"role": "user", "content": "{{ $question }}"}
_FIND_LAST_QUESTION = (
    '{{ $question := "" }}{{ range .Messages }}{{ if eq .Role "user" }}{{ $question = .Content }}{{ end }}{{ end }}'
)


def modelfile(model: Path, system_prompt: str, shots: Sequence[Mapping[str, Any]], max_new_tokens: int) -> str:
    """The Modelfile's text for the model's folder `model`, beside which it will stand.

    `shots` are the turns of worked examples, texts all of them, that stand before the question.

    Raises:
        TrainingError: the folder has no tokenizer with a chat template.
    """
    chat = load_chat_format(model)
    template = _template_with_shots(chat, shots) if shots else _template(chat)
    return "\n".join(
        (
            f"FROM ./{model.name}",
            f'TEMPLATE """{template}"""',
            f'SYSTEM """{_quoted(system_prompt)}"""',
            "PARAMETER temperature 0",
            # By default Ollama makes words less likely that were there before, in the prompt too.
            "PARAMETER repeat_penalty 1",
            f"PARAMETER num_predict {max_new_tokens}",
            f"PARAMETER num_ctx {min(chat.max_length, _CONTEXT)}",
            f'PARAMETER stop "{chat.end_of_turn}"',
            "",
        )
    )


def _template(chat: ChatFormat) -> str:
    return _prompt(chat, _SYSTEM, _QUESTION) + "{{ .Response }}" + chat.end_of_turn


def _template_with_shots(chat: ChatFormat, shots: Sequence[Mapping[str, Any]]) -> str:
    """The examples in full; where a template looks through the messages, Ollama writes the answer behind its end."""
    shown = [{**shot, "content": _verbatim(shot["content"])} for shot in shots]
    return _FIND_LAST_QUESTION + _prompt(chat, _SYSTEM, *shown, _LAST_QUESTION)


def _prompt(chat: ChatFormat, *messages: dict[str, Any]) -> str:
    text = chat.prompt_text(ChatRow(id="template", prompt=messages))
    begin = chat.tokenizer.bos_token
    # Where the tokenizer begins every text with this token, so does Ollama.
    if begin and chat.tokenizer("")["input_ids"][:1] == [chat.tokenizer.bos_token_id]:
        return text.removeprefix(begin)
    return text


def _verbatim(text: str) -> str:
    """The text in Ollama's template language, which would read doubled braces and end at three quotation marks."""
    return text.replace("{{", '{{ "{{" }}').replace('"""', '""{{ "\\"" }}')


def _quoted(text: str) -> str:
    # Three quotation marks would end the text, and there is no escape for them.
    return text.replace('"""', "'''")
