"""Answers by vLLM, for machines with an NVIDIA GPU where it is installed; it batches and stops rows by itself.

The student is merged first, so that what answers is what is delivered. Written after vLLM's documentation
(https://docs.vllm.ai/en/latest/api/vllm/) and tested with a stand-in for the package: only a run on a GPU proves it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from distil_dagster.training.formatting import load_chat_format
from distil_dagster.training.job import MergeJob, PredictJob
from distil_dagster.training.merge import merge


def answers_by_vllm(job: PredictJob, prompts: Sequence[list[int]]) -> tuple[list[list[int]], frozenset[int]]:
    """The token ids written after each prompt, up to and with the one that stops, and the ids that end an answer."""
    from transformers import GenerationConfig
    from vllm import LLM, SamplingParams
    from vllm.inputs import TokensPrompt

    if not prompts:
        return [], frozenset()
    with tempfile.TemporaryDirectory(dir=job.output.parent) as scratch:
        merged = Path(scratch) / "merged"
        merge(MergeJob(model=job.model, adapter=job.adapter, output=merged))
        stops = GenerationConfig.from_pretrained(merged).eos_token_id
        longest = max(map(len, prompts)) + job.max_new_tokens
        model = LLM(
            model=str(merged),
            skip_tokenizer_init=True,
            max_model_len=min(longest, load_chat_format(job.model).max_length),
            seed=0,
        )
        greedy = SamplingParams(temperature=0.0, max_tokens=job.max_new_tokens, stop_token_ids=stops, detokenize=False)
        outputs = model.generate([TokensPrompt(prompt_token_ids=ids) for ids in prompts], greedy)
    return [list(output.outputs[0].token_ids) for output in outputs], frozenset(stops)
