"""The Modelfile with which Ollama serves a merged model as it was trained.

Ollama has its own template language and does not read the model's chat template. A conversation rendered with Ollama's
placeholders in the places of the texts is that template in Ollama's language.
"""

from __future__ import annotations

from pathlib import Path

from distil_dagster.training.formatting import ChatFormat, load_chat_format
from distil_dagster.training.rows import ChatRow

# Ollama reserves memory for the whole context.
_CONTEXT = 8192
_PLACEHOLDERS = (
    {"role": "system", "content": "{{ .System }}"},
    {"role": "user", "content": "{{ .Prompt }}"},
)


def modelfile(model: Path, system_prompt: str, max_new_tokens: int) -> str:
    """The Modelfile's text for the model's folder `model`, beside which it will stand.

    Raises:
        TrainingError: the folder has no tokenizer with a chat template.
    """
    chat = load_chat_format(model)
    return "\n".join(
        (
            f"FROM ./{model.name}",
            f'TEMPLATE """{_template(chat)}"""',
            f'SYSTEM """{_quoted(system_prompt)}"""',
            "PARAMETER temperature 0",
            f"PARAMETER num_predict {max_new_tokens}",
            f"PARAMETER num_ctx {min(chat.max_length, _CONTEXT)}",
            f'PARAMETER stop "{chat.end_of_turn}"',
            "",
        )
    )


def _template(chat: ChatFormat) -> str:
    text = chat.prompt_text(ChatRow(id="template", prompt=_PLACEHOLDERS)) + "{{ .Response }}" + chat.end_of_turn
    begin = chat.tokenizer.bos_token
    # Where the tokenizer begins every text with this token, so does Ollama.
    if begin and chat.tokenizer("")["input_ids"][:1] == [chat.tokenizer.bos_token_id]:
        return text.removeprefix(begin)
    return text


def _quoted(text: str) -> str:
    # Three quotation marks would end the text, and there is no escape for them.
    return text.replace('"""', "'''")
