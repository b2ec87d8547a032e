"""Tiny random students of every family: its architecture, its special tokens, its public chat template.

A shape is what several students of the catalogue have in common. Weights and vocabulary are the tests' own.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from distil_dagster.data.examples import Example
from distil_dagster.data.job import JobDescription
from distil_dagster.data.messages import Message, ToolCall
from distil_dagster.tasks.multi_turn_tool_calling import MultiTurnToolCalling
from distil_dagster.tasks.question_answering import QuestionAnswering
from distil_dagster.tasks.tool_calling import ToolCalling
from distil_dagster.training.formatting import ChatFormat, load_chat_format
from distil_dagster.training.preparing import chat_rows, rows_by_example
from distil_dagster.training.rows import ChatRow

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Shape:
    """A student as it is published; `ends` are the stop tokens that its own `generation_config.json` names."""

    template: str
    config: Callable[..., Any]
    bos: str | None
    eos: str
    pad: str | None
    ends: tuple[str, ...]
    others: tuple[str, ...] = ()
    spaces_as_blocks: bool = False

    @property
    def special_tokens(self) -> list[str]:
        return list(dict.fromkeys(token for token in (self.pad, self.bos, self.eos, *self.ends, *self.others) if token))


def llama_config(**tokens: Any) -> Any:
    from transformers import LlamaConfig

    return LlamaConfig(**tokens, **SIZES, tie_word_embeddings=True)


def qwen3_config(**tokens: Any) -> Any:
    from transformers import Qwen3Config

    return Qwen3Config(**tokens, **SIZES, head_dim=16, tie_word_embeddings=True)


def gemma3_config(**tokens: Any) -> Any:
    from transformers import Gemma3TextConfig

    layers = ["sliding_attention", "full_attention"]
    return Gemma3TextConfig(**tokens, **SIZES, head_dim=16, layer_types=layers, sliding_window=16)


def gemma3_with_vision_config(**tokens: Any) -> Any:
    from transformers import Gemma3Config, SiglipVisionConfig

    vision = SiglipVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    return Gemma3Config(text_config=gemma3_config(**tokens), vision_config=vision, mm_tokens_per_image=4, **tokens)


def qwen2_config(**tokens: Any) -> Any:
    from transformers import Qwen2Config

    return Qwen2Config(**tokens, **SIZES, tie_word_embeddings=False)


def lfm2_config(**tokens: Any) -> Any:
    from transformers import Lfm2Config

    return Lfm2Config(**tokens, **SIZES, layer_types=["conv", "full_attention"], block_auto_adjust_ff_dim=False)


SIZES = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "initializer_range": 0.2,
}
LLAMA = {
    "config": llama_config,
    "bos": "<|begin_of_text|>",
    "eos": "<|eot_id|>",
    "pad": None,
    "ends": ("<|end_of_text|>", "<|eom_id|>", "<|eot_id|>"),
    "others": ("<|start_header_id|>", "<|end_header_id|>", "<|python_tag|>"),
}
GEMMA = {
    "template": "gemma3",
    "bos": "<bos>",
    "eos": "<eos>",
    "pad": "<pad>",
    "ends": ("<eos>", "<end_of_turn>"),
    "others": ("<start_of_turn>", "<start_of_image>", "<end_of_image>", "<image_soft_token>"),
    "spaces_as_blocks": True,
}
FUNCTION_GEMMA = {
    "template": "functiongemma",
    "ends": ("<eos>", "<end_of_turn>", "<start_function_response>"),
    "others": (
        *("<start_of_turn>", "<escape>", "<end_function_response>", "<start_function_call>", "<end_function_call>"),
        *("<start_function_declaration>", "<end_function_declaration>"),
    ),
}
QWEN = {
    "config": qwen3_config,
    "bos": None,
    "eos": "<|im_end|>",
    "pad": "<|endoftext|>",
    "ends": ("<|im_end|>", "<|endoftext|>"),
    "others": ("<|im_start|>", "<think>", "</think>", "<tool_call>", "</tool_call>"),
}
LFM = {
    "config": lfm2_config,
    "bos": "<|startoftext|>",
    "eos": "<|im_end|>",
    "pad": "<|pad|>",
    "ends": ("<|im_end|>",),
    "others": (
        *("<|im_start|>", "<|endoftext|>", "<|tool_list_start|>", "<|tool_list_end|>", "<|tool_call_start|>"),
        *("<|tool_call_end|>", "<|tool_response_start|>", "<|tool_response_end|>"),
    ),
}
SMOL = {
    "config": llama_config,
    "bos": "<|im_start|>",
    "eos": "<|im_end|>",
    "pad": "<|im_end|>",
    "ends": ("<|im_end|>",),
    "others": ("<|endoftext|>",),
}
SHAPES = {
    "llama-3.1": Shape(template="llama3_1", **LLAMA),
    "llama-3.2": Shape(template="llama3_2", **LLAMA),
    "smollm2": Shape(template="smollm2", **SMOL),
    "functiongemma": Shape(config=gemma3_config, **(GEMMA | FUNCTION_GEMMA)),
    "gemma-3": Shape(config=gemma3_config, **GEMMA),
    "gemma-3-vision": Shape(config=gemma3_with_vision_config, **GEMMA),
    "qwen3": Shape(template="qwen3", **QWEN),
    "qwen3-2507": Shape(template="qwen3_instruct_2507", **QWEN),
    "of-no-family": Shape(template="qwen2_5", **(QWEN | {"config": qwen2_config})),
    "lfm2": Shape(template="lfm2", **LFM),
    "lfm2-v2": Shape(template="lfm2_v2", **LFM),
    "lfm2.5": Shape(template="lfm2_2_5", **LFM),
    "lfm2.5-v2": Shape(template="lfm2_2_5_v2", **LFM),
}
SHAPE_OF_STUDENT = {
    "Llama-3.2-1B-Instruct": "llama-3.2",
    "Llama-3.2-3B-Instruct": "llama-3.2",
    "Llama-3.1-8B-Instruct": "llama-3.1",
    "SmolLM2-135M-Instruct": "smollm2",
    "SmolLM2-1.7B-Instruct": "smollm2",
    "functiongemma-270m-it": "functiongemma",
    "gemma-3-270m-it": "gemma-3",
    "gemma-3-1b-it": "gemma-3",
    "gemma-3-4b-it": "gemma-3-vision",
    "Qwen3-0.6B": "qwen3",
    "Qwen3-1.7B": "qwen3",
    "Qwen3-4B-Instruct-2507": "qwen3-2507",
    "Qwen3-8B": "qwen3",
    "LFM2-350M": "lfm2",
    "LFM2-1.2B": "lfm2-v2",
    "LFM2-2.6B": "lfm2",
    "LFM2.5-350M": "lfm2.5-v2",
    "LFM2.5-1.2B-Instruct": "lfm2.5",
}


@pytest.fixture(scope="session")
def shape_of_student() -> dict[str, str]:
    """The shape of each student of the catalogue."""
    return SHAPE_OF_STUDENT


@pytest.fixture(scope="session")
def published_ends() -> Callable[[str], set[str]]:
    """Gives the stop tokens that a student of a shape names in its own settings."""
    return lambda shape: set(SHAPES[shape].ends)


@pytest.fixture(scope="session")
def student_folder(tmp_path_factory) -> Callable[[str], Path]:
    """Gives the folder of a student of a shape, written once a session."""

    @cache
    def folder(shape: str) -> Path:
        path: Path = tmp_path_factory.mktemp(shape)
        _write(SHAPES[shape], path)
        return path

    return folder


@pytest.fixture(scope="session")
def load_chat(student_folder) -> Callable[[str], ChatFormat]:
    """Reads the tokenizer of a student of a shape, once a session."""
    return cache(lambda shape: load_chat_format(student_folder(shape)))


def _write(shape: Shape, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig

    tokenizer = _tokenizer(shape)
    tokenizer.save_pretrained(folder)
    ids = tokenizer.get_vocab()
    tokens = {
        "vocab_size": len(ids),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(shape.config(**tokens))
    if tokenizer.pad_token_id is not None:
        # Made of zeros where a model is new; SmolLM2 ends its turns with the token that it pads with.
        torch.nn.init.normal_(model.get_input_embeddings().weight.data[tokenizer.pad_token_id], std=0.2)
    # As published: sampling, and several ends.
    model.generation_config = GenerationConfig(
        do_sample=True, temperature=0.6, eos_token_id=[ids[end] for end in shape.ends]
    )
    model.save_pretrained(folder)
    if shape.config is gemma3_with_vision_config:
        settings = {"image_processor_type": "Gemma3ImageProcessor", "size": {"height": 28, "width": 28}}
        (folder / "preprocessor_config.json").write_text(json.dumps(settings))


def _tokenizer(shape: Shape) -> Any:
    """A vocabulary trained on the tests' own texts; Gemma's holds spaces as blocks, the others' are of bytes."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    if shape.spaces_as_blocks:
        tokenizer.normalizer = normalizers.Replace(" ", "▁")
        tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse()])
        alphabet = ["▁", "\n", *map(chr, range(33, 127))]
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1000, special_tokens=shape.special_tokens, initial_alphabet=alphabet, show_progress=False
    )
    template = _template(shape.template)
    texts = [str(row.model_dump()) for kind in ("text", "tool", "conversation") for row in _rows_of(kind)]
    tokenizer.train_from_iterator([template, *texts], trainer)
    if shape.bos:
        # As published: a text that is not a chat begins with this token by itself.
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{shape.bos} $A", special_tokens=[(shape.bos, tokenizer.token_to_id(shape.bos))]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=shape.bos,
        eos_token=shape.eos,
        pad_token=shape.pad,
        model_max_length=4096,
        chat_template=template,
    )


def _template(name: str) -> str:
    own = HERE / f"{name}.jinja"
    if own.is_file():
        return own.read_text(encoding="utf-8")
    spec = find_spec("trl")
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / "chat_templates" / f"{name}.jinja").read_text(encoding="utf-8")


def _tool(name: str, **parameters: str) -> dict[str, Any]:
    properties = {parameter: {"type": kind} for parameter, kind in parameters.items()}
    schema = {"type": "object", "properties": properties}
    return {"type": "function", "function": {"name": name, "description": "", "parameters": schema}}


FIND, HIRE = _tool("find_boat", seats="integer"), _tool("hire_boat", boat="string")
FIND_FOR_FOUR = Message(role="assistant", tool_calls=(ToolCall(name="find_boat", arguments={"seats": 4}),))
HIRE_THE_SEA = Message(role="assistant", tool_calls=(ToolCall(name="hire_boat", arguments={"boat": 'Ann\'s "Sea"'}),))
ASKED = Message(role="user", content="We are 4.")


def _rows_of(kind: str) -> list[ChatRow]:
    """Rows as training gets them: of a text, of one call, and of a conversation of two calls."""
    if kind == "text":
        text_task = QuestionAnswering(JobDescription(task_description="Name the desk.", input_description="A letter."))
        answered = (Message(role="user", content="My bill is wrong."), Message(role="assistant", content="the bills"))
        return chat_rows(text_task, [Example(messages=answered)])
    if kind == "tool":
        tool_task = ToolCalling(JobDescription(task_description="Hire out boats.", tools=(FIND,)))
        return chat_rows(tool_task, [Example(messages=(ASKED, FIND_FOR_FOUR))])
    task = MultiTurnToolCalling(JobDescription(task_description="Hire out boats.", tools=(FIND, HIRE)))
    found = Message(role="tool", content="Ann's")
    agreed = Message(role="user", content="Fine.")
    (rows,) = rows_by_example(task, [Example(messages=(ASKED, FIND_FOR_FOUR, found, agreed, HIRE_THE_SEA))])
    return rows


@pytest.fixture(scope="session")
def rows_of() -> Callable[[str], list[ChatRow]]:
    """Makes the rows of a kind of task: `text`, `tool` or `conversation`."""
    return _rows_of
