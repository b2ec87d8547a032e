"""From examples to the files of a training or prediction job, in a folder that is named after their content.

The same rows, settings and weights give the same folder: what was finished in it need not be done again, and what was
interrupted goes on.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from random import Random

from distil_dagster.data.examples import Example, content_id
from distil_dagster.job import Job
from distil_dagster.tasks.base import Task
from distil_dagster.training.job import GrpoJob, PredictJob, SftJob
from distil_dagster.training.rows import ChatRow, RewardRow, write_rows
from distil_dagster.training.sft import SUMMARY_FILE
from distil_dagster.training.weights import Weights

_CHARACTERS_A_TOKEN = 2
_SPARE_TOKENS = 16


def prepare_sft(job: Job, examples: Sequence[Example], weights: Weights, work: Path) -> SftJob:
    """Write the rows of a training, those for evaluation split off, into a folder below `work`."""
    tuning = job.config.tuning
    seed = job.config.base.random_seed
    rows = chat_rows(job.task, examples)
    train, held_out = split_rows(rows, tuning.train_eval_split, seed)
    named = content_id(
        [row.model_dump() for row in (*train, *held_out)], tuning.model_dump(), seed, str(weights.folder)
    )
    folder = work / named
    write_rows(folder / "train.jsonl", train)
    write_rows(folder / "eval.jsonl", held_out)
    return SftJob(
        student=weights.folder,
        tuning=tuning,
        seed=_some_seed(seed),
        train_rows=folder / "train.jsonl",
        eval_rows=folder / "eval.jsonl",
        output=folder / "output",
        checkpoints=folder / "checkpoints",
    )


def prepare_rlvr(
    job: Job, examples: Sequence[Example], model: Path, adapter: Path | None, journal: Path, work: Path
) -> GrpoJob:
    """Write the rows of a reinforcement learning of a tuned student into a folder below `work`.

    `journal` is the folder of the journal of answers; the judge's go there too.
    """
    config, tokens = job.config, answer_tokens(examples)
    rows = [
        RewardRow(**row.model_dump(), question=example.question, reference=example.answer, context=example.context)
        for row, example in zip(chat_rows(job.task, examples), examples, strict=True)
    ]
    named = content_id(
        [row.model_dump() for row in rows],
        [config.tuning.model_dump(), config.base.random_seed, job.description.model_dump(), tokens],
        [_identity(model), adapter and _identity(adapter)],
    )
    folder = work / named
    write_rows(folder / "rows.jsonl", rows)
    return GrpoJob(
        model=model,
        adapter=adapter,
        config=config,
        description=job.description,
        journal=journal,
        seed=_some_seed(config.base.random_seed),
        rows=folder / "rows.jsonl",
        max_new_tokens=tokens,
        output=folder / "output",
        checkpoints=folder / "checkpoints",
    )


def is_trained(job: SftJob | GrpoJob) -> bool:
    """Whether the output of an equal job stands already."""
    return (job.output / SUMMARY_FILE).is_file()


def prepare_prediction(
    job: Job, examples: Sequence[Example], model: Path, adapter: Path | None, work: Path
) -> PredictJob:
    """Write the rows to be answered into a folder below `work`."""
    rows = [row.model_copy(update={"completion": ()}) for row in chat_rows(job.task, examples)]
    tokens = answer_tokens(examples)
    named = content_id([row.model_dump() for row in rows], tokens, _identity(model), adapter and _identity(adapter))
    folder = work / named
    write_rows(folder / "rows.jsonl", rows)
    return PredictJob(
        model=model, adapter=adapter, rows=folder / "rows.jsonl", output=folder / "written.jsonl", max_new_tokens=tokens
    )


def answer_tokens(examples: Sequence[Example]) -> int:
    """How many new tokens suffice for answers as long as the longest of `examples`."""
    return max(len(example.answer) for example in examples) // _CHARACTERS_A_TOKEN + _SPARE_TOKENS


def chat_rows(task: Task, examples: Sequence[Example]) -> list[ChatRow]:
    """Prompt and answer of each example, as the student sees them; ids are their numbers."""
    return [
        ChatRow(id=str(number), prompt=tuple(task.prompt(example)), completion=(task.completion(example),))
        for number, example in enumerate(examples, start=1)
    ]


def split_for_rlvr(examples: Sequence[Example], share: float, seed: int | None) -> tuple[list[Example], list[Example]]:
    """Examples for SFT and for RLVR, each in their order; none is in both.

    Two assets split the same examples, at different times: the split is drawn from the content, so that they agree even
    where the seed is null.
    """
    drawn = sorted(range(len(examples)), key=lambda at: content_id(seed, examples[at].id))
    kept = set(drawn[: round(len(examples) * share)])
    parts: tuple[list[Example], list[Example]] = ([], [])
    for at, example in enumerate(examples):
        parts[at in kept].append(example)
    return parts


def split_rows(rows: Sequence[ChatRow], share: float, seed: int | None) -> tuple[list[ChatRow], list[ChatRow]]:
    """Rows for training and for evaluation during training; at least one of each where there are two rows."""
    order = list(rows)
    Random(seed).shuffle(order)
    held_out = min(max(1, round(len(order) * share)), len(order) - 1)
    return order[held_out:], order[:held_out]


def _some_seed(seed: int | None) -> int:
    return secrets.randbits(31) if seed is None else seed


def _identity(folder: Path) -> list[tuple[str, int, int]]:
    """What tells one version of a folder of weights from another: names, sizes and times of its files."""
    return sorted(
        (path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in folder.iterdir() if path.is_file()
    )
