"""The families of students: what must be known of each one to train it, answer with it and serve it.

A family is told by a model's own folder, so that weights that people tuned themselves are of it too. What a chat
template shows by itself, such as the token that ends a turn, is not here but probed (`formatting`): that holds for
students of no family as well, which train all linear layers.
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from distil_dagster.config.catalogue import ToolFormat

_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class Family:
    """Students that are built and asked alike.

    `name` is that of the catalogue. `model_type` (in `config.json`) and `marker` (in the vocabulary) tell the family
    from all others. `pins` are variables of its chat template with the values, as Jinja writes them, that they have
    whatever the caller or the calendar says. `lora_targets` are names of the linear layers to train, or a pattern of
    their whole paths. `stop_tokens` end what it writes, those that its chat template ends turns with among them.
    """

    name: str
    model_type: str
    marker: str
    tool_format: ToolFormat | None
    lora_targets: tuple[str, ...] | str
    stop_tokens: tuple[str, ...]
    pins: Mapping[str, str] = field(default_factory=dict)


_GEMMA3 = Family(
    name="gemma3",
    model_type="gemma3_text",
    marker="<start_of_turn>",
    tool_format=None,
    lora_targets=_PROJECTIONS,
    stop_tokens=("<end_of_turn>", "<eos>"),
)

FAMILIES = (
    Family(
        name="llama3",
        model_type="llama",
        marker="<|start_header_id|>",
        tool_format="llama3_json",
        lora_targets=_PROJECTIONS,
        stop_tokens=("<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"),
        # The date that the template itself falls back to; Llama 3.2's asks the calendar first.
        pins={"date_string": "'26 Jul 2024'"},
    ),
    Family(
        name="smollm2",
        model_type="llama",
        marker="<|im_start|>",
        tool_format=None,
        lora_targets=_PROJECTIONS,
        stop_tokens=("<|im_end|>", "<|endoftext|>"),
    ),
    # Gemma 3's architecture with tokens of its own; behind a call the runtime is to put the tool's result.
    replace(
        _GEMMA3,
        name="functiongemma",
        marker="<start_function_call>",
        tool_format="functiongemma",
        stop_tokens=(*_GEMMA3.stop_tokens, "<start_function_response>"),
    ),
    _GEMMA3,
    # From 4B on it reads images too. Nobody trains it on them here, so the layers that read them stay as they are; they
    # have projections of the same names.
    replace(
        _GEMMA3, model_type="gemma3", lora_targets=rf"model\.language_model\.layers\..*\.({'|'.join(_PROJECTIONS)})"
    ),
    Family(
        name="qwen3",
        model_type="qwen3",
        marker="<|im_start|>",
        tool_format="hermes",
        lora_targets=_PROJECTIONS,
        stop_tokens=("<|im_end|>", "<|endoftext|>"),
        # Students answer at once: the prompt then ends in an empty block of thinking, which is not trained.
        pins={"enable_thinking": "false"},
    ),
    # LFM2 and LFM2.5: gated short convolutions between a few layers of attention. `in_proj` and `out_proj` are the
    # linear layers around a convolution (`out_proj` is that of attention too), `w1` to `w3` the feed-forward ones; the
    # convolution itself has three weights a channel and stays as it is.
    Family(
        name="lfm2",
        model_type="lfm2",
        marker="<|tool_call_start|>",
        tool_format="lfm2",
        lora_targets=("q_proj", "k_proj", "v_proj", "out_proj", "in_proj", "w1", "w2", "w3"),
        stop_tokens=("<|im_end|>", "<|endoftext|>"),
    ),
)
OTHER = Family(name="other", model_type="", marker="", tool_format=None, lora_targets="all-linear", stop_tokens=())

# Of all families together: what people tune often has the chat template of another family.
PINS: Mapping[str, str] = {name: value for family in FAMILIES for name, value in family.pins.items()}


def family_of(folder: Path, vocabulary: Container[str]) -> Family:
    """The family of the model in `folder`, whose tokenizer knows `vocabulary`; `OTHER` where it is of none."""
    config = folder / "config.json"
    model_type = json.loads(config.read_text(encoding="utf-8")).get("model_type") if config.is_file() else None
    return next(
        (family for family in FAMILIES if family.model_type == model_type and family.marker in vocabulary), OTHER
    )
