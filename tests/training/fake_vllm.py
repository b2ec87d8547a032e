"""A stand-in for the package vllm: its documented names and arguments, generation by transformers row by row."""

import sys
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace


@dataclass(kw_only=True)
class SamplingParams:
    temperature: float = 1.0
    max_tokens: int | None = 16
    stop_token_ids: list[int] | None = None
    detokenize: bool = True


class LLM:
    """Reads the folder while it is made, as vllm does: it need not outlive that."""

    def __init__(self, model: str, *, skip_tokenizer_init=False, max_model_len=None, seed=0) -> None:
        from transformers import AutoModelForCausalLM

        assert isinstance(model, str)
        assert skip_tokenizer_init
        self.max_model_len = max_model_len
        self._model = AutoModelForCausalLM.from_pretrained(model).float()

    def generate(self, prompts, sampling_params):
        assert sampling_params.temperature == 0
        assert not sampling_params.detokenize
        return [self._output(prompt["prompt_token_ids"], sampling_params) for prompt in prompts]

    def _output(self, ids, asked):
        import torch

        if len(ids) + asked.max_tokens > self.max_model_len:
            raise ValueError(f"{len(ids)} and {asked.max_tokens} tokens, and max_model_len is {self.max_model_len}")
        given = torch.tensor([ids])
        written = self._model.generate(
            input_ids=given,
            attention_mask=torch.ones_like(given),
            do_sample=False,
            max_new_tokens=asked.max_tokens,
            eos_token_id=asked.stop_token_ids,
        )
        return SimpleNamespace(outputs=[SimpleNamespace(token_ids=tuple(written[0, len(ids) :].tolist()))])


def install(monkeypatch) -> None:
    """Have `import vllm` give the stand-in."""
    package, inputs = ModuleType("vllm"), ModuleType("vllm.inputs")
    package.__spec__ = ModuleSpec("vllm", None)
    package.LLM, package.SamplingParams, inputs.TokensPrompt = LLM, SamplingParams, dict
    monkeypatch.setitem(sys.modules, "vllm", package)
    monkeypatch.setitem(sys.modules, "vllm.inputs", inputs)
