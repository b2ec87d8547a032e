"""The folder that a user takes away: model, adapter, how to serve them, how to ask them, and how good they are."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from distil_dagster.data.examples import content_id
from distil_dagster.data.fingerprints import file_sha256
from distil_dagster.data.store import whole_folder
from distil_dagster.errors import TrainingError
from distil_dagster.export.answer_template import answer_template
from distil_dagster.export.model_card import CardFacts, model_card
from distil_dagster.export.modelfile import modelfile
from distil_dagster.training.formatting import load_chat_format

MODEL = "model"
ADAPTER = "model-adapters"
CLIENT = "model_client.py"
PROMPT = "prompt.json"
MODELFILE = "Modelfile"


@dataclass(frozen=True)
class Serving:
    """What a server and its client must say to the model as training did.

    `question_with_context` holds `{context}` and `{question}`, for tasks whose question comes with a passage. `shots`
    are the turns of worked examples that stand between the system prompt and the question.
    """

    name: str
    system_prompt: str
    question_with_context: str | None = None
    tools: tuple[dict[str, Any], ...] = ()
    shots: tuple[dict[str, Any], ...] = ()
    max_new_tokens: int = 256


def write_bundle(folder: Path, merged: Path, adapter: Path | None, serving: Serving, card: CardFacts) -> Path:
    """Write the whole folder or nothing, and give it.

    `merged` is the folder of a merged model, which is copied; `adapter` is none where all weights were trained. A model
    that calls tools has no Modelfile: Ollama parses calls by its own templates, which cannot be made of the model's.

    Raises:
        TrainingError: the merged model is not there, or lacks its tokenizer or its settings for generation.
    """
    if not (merged / "config.json").is_file():
        raise TrainingError(f"{merged}: no merged model to bundle")
    with whole_folder(folder) as aside:
        shutil.copytree(merged, aside / MODEL)
        _say_how_answers_are_read(aside / MODEL, card.tool_parser)
        if adapter is not None:
            shutil.copytree(adapter, aside / ADAPTER)
        if not serving.tools:
            _write(
                aside / MODELFILE,
                modelfile(aside / MODEL, serving.system_prompt, serving.shots, serving.max_new_tokens),
            )
        _write(aside / PROMPT, json.dumps(_prompt(serving, card.tool_parser), ensure_ascii=False, indent=2) + "\n")
        _write(aside / CLIENT, files(__package__).joinpath("client", CLIENT).read_text("utf-8"))
        _write(
            aside / "README.md",
            model_card(
                serving.name,
                card,
                has_adapter=adapter is not None,
                has_shots=bool(serving.shots),
                asks_with_context=serving.question_with_context is not None,
            ),
        )
    return folder


def bundle_version(folder: Path) -> str:
    """A name for what a bundle answers: made of its weights and of what is said before each question."""
    files = [*sorted((folder / MODEL).glob("*.safetensors")), folder / PROMPT]
    return content_id([[path.name, file_sha256(path)] for path in files])


def _say_how_answers_are_read(model: Path, tool_parser: str | None) -> None:
    from transformers import GenerationConfig

    try:
        settings = GenerationConfig.from_pretrained(model)
    except OSError as error:
        raise TrainingError(f"{model}: no settings for generation that can be read: {error}") from None
    stops = load_chat_format(model).tokenizer.convert_ids_to_tokens(settings.eos_token_id)
    path = model / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["response_template"] = answer_template(tool_parser, stops)
    _write(path, json.dumps(config, ensure_ascii=False, indent=2) + "\n")


def _prompt(serving: Serving, tool_parser: str | None) -> dict[str, Any]:
    return {
        "model": serving.name,
        "system_prompt": serving.system_prompt,
        "question_with_context": serving.question_with_context,
        "shots": list(serving.shots),
        "tools": list(serving.tools),
        "tool_call_parser": tool_parser,
        "max_tokens": serving.max_new_tokens,
    }


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
