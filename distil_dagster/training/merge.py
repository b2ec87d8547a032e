"""Model and adapter as one folder that any server loads."""

from __future__ import annotations

import logging

from distil_dagster.data.store import whole_folder
from distil_dagster.training.formatting import load_chat_format
from distil_dagster.training.job import MergeJob
from distil_dagster.training.models import copy_image_settings, load_merged
from distil_dagster.training.predict import stop_ids

log = logging.getLogger("distil_dagster")


def merge(job: MergeJob) -> None:
    """Write weights, tokenizer, chat template and generation settings to `job.output`, whole or not at all.

    Raises:
        TrainingError: a folder cannot be read, or the adapter is not one of this model.
    """
    from transformers import GenerationConfig

    chat = load_chat_format(job.model)
    model = load_merged(job.model, job.adapter)
    # Greedy, as it was evaluated; a server that honours this file then answers as the report says.
    model.generation_config = GenerationConfig(
        do_sample=False,
        bos_token_id=model.generation_config.bos_token_id,
        eos_token_id=sorted(stop_ids(model, chat)),
        pad_token_id=chat.pad_id,
    )
    with whole_folder(job.output) as folder:
        model.save_pretrained(folder)
        chat.tokenizer.save_pretrained(folder)
        copy_image_settings(job.model, folder)
    log.info("merge: wrote %s", job.output)
