"""The folder that a user takes away: model, adapter, how to serve them, how to ask them, and how good they are."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from distil_dagster.data.store import whole_folder
from distil_dagster.errors import TrainingError
from distil_dagster.export.model_card import CardFacts, model_card
from distil_dagster.export.modelfile import modelfile

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
        TrainingError: the merged model is not there.
    """
    if not (merged / "config.json").is_file():
        raise TrainingError(f"{merged}: no merged model to bundle")
    with whole_folder(folder) as aside:
        shutil.copytree(merged, aside / MODEL)
        if adapter is not None:
            shutil.copytree(adapter, aside / ADAPTER)
        if not serving.tools:
            _write(
                aside / MODELFILE,
                modelfile(aside / MODEL, serving.system_prompt, serving.shots, serving.max_new_tokens),
            )
        _write(aside / PROMPT, json.dumps(_prompt(serving), ensure_ascii=False, indent=2) + "\n")
        _write(aside / CLIENT, files(__package__).joinpath("client", CLIENT).read_text("utf-8"))
        _write(
            aside / "README.md",
            model_card(serving.name, card, has_adapter=adapter is not None, has_shots=bool(serving.shots)),
        )
    return folder


def _prompt(serving: Serving) -> dict[str, Any]:
    return {
        "model": serving.name,
        "system_prompt": serving.system_prompt,
        "question_with_context": serving.question_with_context,
        "shots": list(serving.shots),
        "tools": list(serving.tools),
        "max_tokens": serving.max_new_tokens,
    }


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
