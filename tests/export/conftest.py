from collections.abc import Callable
from pathlib import Path

import pytest

from distil_dagster.export.bundle import Serving
from distil_dagster.export.model_card import CardFacts

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_model(folder: Path, template: str, begin: str | None) -> Path:
    """A folder with a byte-level tokenizer and no weights to speak of; `begin` starts every text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import GenerationConfig, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    specials = ["<|im_start|>", "<|im_end|>", "<s>"]
    tokenizer = Tokenizer(models.BPE({token: at for at, token in enumerate([*specials, *alphabet])}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(specials)
    if begin:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{begin} $A", special_tokens=[(begin, specials.index(begin))]
        )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=begin,
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        model_max_length=2048,
        chat_template=template,
    ).save_pretrained(folder)
    GenerationConfig(do_sample=False, eos_token_id=[specials.index("<|im_end|>")]).save_pretrained(folder)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


@pytest.fixture
def chatml() -> str:
    return CHATML


@pytest.fixture
def make_model(tmp_path) -> Callable[..., Path]:
    def make(name: str, template: str = CHATML, begin: str | None = None) -> Path:
        return write_model(tmp_path / name, template, begin)

    return make


@pytest.fixture
def merged(make_model) -> Path:
    return make_model("merged")


@pytest.fixture
def serving() -> Serving:
    return Serving(name="banking", system_prompt='Answer with one class:\n- cards\n- "fees"', max_new_tokens=32)


@pytest.fixture
def facts() -> CardFacts:
    return CardFacts(
        student="SmolLM2-135M-Instruct",
        hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
        licence="apache-2.0",
        teacher="openai.gpt-oss-120b",
        task="classification",
        task_description="Classify requests.\nOne class each.",
        figures="| model | accuracy |\n|---|---|\n| tuned | 0.96 |",
        primary_metric="Accuracy",
        primary_metric_reason="there is one right class",
    )
