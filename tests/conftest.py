"""What tests of several modules share: a job, its task, and a client whose answers a test writes down."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pathlib import Path

import pytest
from hypothesis import settings

from distil_dagster.data.job import JobDescription
from distil_dagster.llm.requests import Answered, Failed, Request, Usage
from distil_dagster.tasks.classification import Classification

# Before torch and transformers are loaded by a test.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# The first example of a test may import a library; how long that takes says nothing about the code.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")

Reply = dict | str | Failed


@dataclass
class ScriptedClient:
    """Answers each request with what `script` says; remembers what was asked."""

    script: Callable[[Request], Reply]
    asked: list[Request] = field(default_factory=list)

    def ask(self, requests: Sequence[Request], phase, progress=None):
        self.asked += requests
        return [self._answer(request, number) for number, request in enumerate(requests)]

    def spent_usd(self, phase=None):
        return 0.0

    def _answer(self, request: Request, number: int):
        reply = self.script(request)
        if isinstance(reply, Failed):
            return reply
        parsed = request.schema.model_validate(reply) if request.schema else None
        text = reply if isinstance(reply, str) else json.dumps(reply)
        return Answered(text, parsed, (), Usage(), None, "stop", f"key-{request.schema_name}-{number}", False)


@pytest.fixture
def job() -> JobDescription:
    return JobDescription(
        task_description="Send each letter to the right desk.",
        classes_description={"bills": "About invoices.", "parcels": "About deliveries.", "garden": "About plants."},
    )


@pytest.fixture
def task(job) -> Classification:
    return Classification(job)


@pytest.fixture
def scripted() -> type[ScriptedClient]:
    return ScriptedClient


CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}"
    "{% for call in message['tool_calls'] or [] %}"
    "<tool_call>\n{{ call['function'] | tojson }}\n</tool_call>{% endfor %}"
    "<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_tiny_student(folder: Path, texts: Sequence[str], max_length: int) -> Path:
    """A random Llama-shaped model of 2 layers with a byte-level tokenizer and a ChatML template."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|im_start|>", "<|im_end|>", "<|pad|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*texts, "system user assistant"] * 4, trainer)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|pad|>",
        model_max_length=max_length,
        chat_template=CHATML,
    )
    wrapped.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(wrapped),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=max_length,
        initializer_range=0.1,
        bos_token_id=wrapped.bos_token_id,
        eos_token_id=wrapped.eos_token_id,
        pad_token_id=wrapped.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_student(tmp_path_factory) -> Path:
    """A student that trains in seconds and has room for whole prompts."""
    return write_tiny_student(tmp_path_factory.mktemp("tiny-student"), ["bills parcels garden", "Send each letter"], 2048)


@pytest.fixture(scope="session")
def write_student() -> Callable[[Path, Sequence[str], int], Path]:
    """Writes such a student into a folder, with a vocabulary made of given texts and a given longest prompt."""
    return write_tiny_student
