"""From examples to the files of a training or prediction job, in a folder that is named after their content.

The same rows, settings and weights give the same folder: what was finished in it need not be done again, and what was
interrupted goes on.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distil_dagster.data.examples import Example, content_id
from distil_dagster.data.messages import Message
from distil_dagster.data.store import write_text
from distil_dagster.job import Job
from distil_dagster.tasks.base import Task
from distil_dagster.tasks.shots import draw_shots, student_turns
from distil_dagster.training.job import GrpoJob, PredictJob, SftJob
from distil_dagster.training.rows import ChatRow, RewardRow, write_rows
from distil_dagster.training.sft import SUMMARY_FILE
from distil_dagster.training.weight_files import ADAPTER_SETTINGS
from distil_dagster.training.weights import Weights

_BYTES_A_TOKEN = 2
_SPARE_TOKENS = 16
# Around a call, some families write a tag and others one at each end of every argument.
_SPARE_TOKENS_OF_A_CALL = 64
# RLVR answers them several times, and where a judge decides each answer is paid for.
_MOST_MEASURED = 200
_BYTES_LOOKED_AT = 2**20


def student_shots(job: Job, train: Sequence[Example]) -> list[Example]:
    """The training seeds that the student is shown before each question: always the same ones for the same job."""
    return draw_shots(job.task, train, job.config.tuning.num_few_shot_examples_student, job.config.base.random_seed)


def prepare_sft(
    job: Job, examples: Sequence[Example], weights: Weights, work: Path, shots: Sequence[Example] = ()
) -> SftJob:
    """Write the rows of a training into a folder below `work`, the turns of some examples split off for evaluation."""
    tuning = job.config.tuning
    seed = job.config.base.random_seed
    apart = _held_out_positions(job, examples)
    train: list[ChatRow] = []
    held_out: list[ChatRow] = []
    for at, rows in enumerate(rows_by_example(job.task, examples, shots)):
        (held_out if at in apart else train).extend(rows)
    named = content_id(
        [row.model_dump() for row in (*train, *held_out)], tuning.model_dump(), seed, _identity(weights.folder)
    )
    folder = work / named
    write_rows(folder / "train.jsonl", train)
    write_rows(folder / "eval.jsonl", held_out)
    return SftJob(
        student=weights.folder,
        tuning=tuning,
        seed=_seed_of(folder, seed),
        train_rows=folder / "train.jsonl",
        eval_rows=folder / "eval.jsonl",
        output=folder / "output",
        checkpoints=folder / "checkpoints",
    )


def held_out_examples(job: Job, examples: Sequence[Example]) -> list[Example]:
    """Of the examples of SFT those that it holds back, and so no training sees."""
    apart = _held_out_positions(job, examples)
    return [example for at, example in enumerate(examples) if at in apart]


def prepare_rlvr(
    job: Job,
    examples: Sequence[Example],
    held_out: Sequence[Example],
    tuned: tuple[Path, Path | None],
    journal: Path,
    work: Path,
    shots: Sequence[Example] = (),
) -> GrpoJob:
    """Write the rows of a reinforcement learning of a tuned student into a folder below `work`.

    `held_out` are examples that no training sees, to measure it on; of their rows the first 200 are. `tuned` are the
    folders of model and adapter.
    `journal` is the folder of the journal of answers; the judge's go there too.
    """
    config, tokens = job.config, answer_tokens([*examples, *held_out])
    rows = reward_rows(job.task, examples, shots)
    measured = reward_rows(job.task, held_out, shots)[:_MOST_MEASURED]
    model, adapter = tuned
    named = content_id(
        [[row.model_dump() for row in part] for part in (rows, measured)],
        [config.tuning.model_dump(), config.base.random_seed, job.description.model_dump(), tokens],
        config.evaluation.llm_as_a_judge_model_name,
        [_identity(model), adapter and _identity(adapter)],
    )
    folder = work / named
    write_rows(folder / "rows.jsonl", rows)
    write_rows(folder / "held_out.jsonl", measured)
    return GrpoJob(
        model=model,
        adapter=adapter,
        config=config,
        description=job.description,
        journal=journal,
        seed=_seed_of(folder, config.base.random_seed),
        rows=folder / "rows.jsonl",
        held_out=folder / "held_out.jsonl",
        max_new_tokens=tokens,
        output=folder / "output",
        checkpoints=folder / "checkpoints",
    )


def is_trained(job: SftJob | GrpoJob) -> bool:
    """Whether the output of an equal job stands already."""
    return (job.output / SUMMARY_FILE).is_file()


@dataclass(frozen=True)
class Opening:
    """What a delivered student is told before each question, as its bundle says it: see `prompt.json` there."""

    system_prompt: str
    shots: tuple[dict[str, Any], ...]
    tools: tuple[dict[str, Any], ...]

    def before(self, row: ChatRow) -> ChatRow:
        """A row with this opening in the place of its system prompt."""
        system, *rest = row.prompt
        prompt = (system | {"content": self.system_prompt}, *self.shots, *rest)
        return row.model_copy(update={"prompt": prompt, "tools": self.tools or None})


def prepare_prediction(
    job: Job,
    examples: Sequence[Example],
    model: Path,
    adapter: Path | None,
    work: Path,
    shots: Sequence[Example] = (),
    opening: Opening | None = None,
) -> PredictJob:
    """Write the rows to be answered, the last turn of each example, into a folder below `work`.

    They begin as the job has it, `shots` included, or with another `opening`, which brings its own.
    """
    rows = [row.model_copy(update={"completion": ()}) for row in chat_rows(job.task, examples, shots)]
    if opening is not None:
        rows = [opening.before(row) for row in rows]
    tokens = answer_tokens(examples)
    named = content_id([row.model_dump() for row in rows], tokens, _identity(model), adapter and _identity(adapter))
    folder = work / named
    write_rows(folder / "rows.jsonl", rows)
    return PredictJob(
        model=model, adapter=adapter, rows=folder / "rows.jsonl", output=folder / "written.jsonl", max_new_tokens=tokens
    )


def answer_tokens(examples: Sequence[Example]) -> int:
    """How many new tokens suffice for answers as long as the longest in `examples`, at whichever turn it stands.

    Counted in bytes, as a character of most scripts beside the Latin one takes more than one of them and more tokens.
    """
    return max(_tokens(message) for row in examples for message in row.messages if message.role == "assistant")


def chat_rows(task: Task, examples: Sequence[Example], shots: Sequence[Example] = ()) -> list[ChatRow]:
    """Prompt and answer of each example's last turn, as the student sees them, `shots` first; ids are their numbers."""
    shown = student_turns(task, shots)
    return [_row(task, str(number), example, shown) for number, example in enumerate(examples, start=1)]


def rows_by_example(task: Task, examples: Sequence[Example], shots: Sequence[Example] = ()) -> list[list[ChatRow]]:
    """The rows to train on: one for each turn that is to be learned; ids are `3`, or `3.2` for a second one."""
    shown = student_turns(task, shots)
    return [
        [
            _row(task, str(number) if len(turns) == 1 else f"{number}.{at}", turn, shown)
            for at, turn in enumerate(turns, start=1)
        ]
        for number, turns in enumerate(map(task.turns, examples), start=1)
    ]


def reward_rows(task: Task, examples: Sequence[Example], shots: Sequence[Example] = ()) -> list[RewardRow]:
    """One row for each turn that is to be learned, with what a judge of the answer to it needs."""
    turns = [turn for example in examples for turn in task.turns(example)]
    return [
        RewardRow(**row.model_dump(), question=task.question_text(turn), reference=turn.answer, context=turn.context)
        for row, turn in zip(chat_rows(task, turns, shots), turns, strict=True)
    ]


def split_for_rlvr(examples: Sequence[Example], share: float, seed: int | None) -> tuple[list[Example], list[Example]]:
    """Examples for SFT and for RLVR, each in their order; none is in both."""
    kept = _drawn(examples, round(len(examples) * share), seed)
    parts: tuple[list[Example], list[Example]] = ([], [])
    for at, example in enumerate(examples):
        parts[at in kept].append(example)
    return parts


def _held_out_positions(job: Job, examples: Sequence[Example]) -> frozenset[int]:
    """Which examples SFT does not train on; at least one, and at least one is left, where there are two."""
    count = min(max(1, round(len(examples) * job.config.tuning.train_eval_split)), len(examples) - 1)
    return _drawn(examples, count, job.config.base.random_seed)


def _drawn(examples: Sequence[Example], count: int, seed: int | None) -> frozenset[int]:
    """The positions of `count` examples.

    Several assets split the same examples, at different times: they are drawn from the content, so that all agree even
    where the seed is null.
    """
    order = sorted(range(len(examples)), key=lambda at: content_id(seed, examples[at].id))
    return frozenset(order[: max(0, count)])


def _row(task: Task, row_id: str, example: Example, shown: Sequence[dict[str, Any]]) -> ChatRow:
    system, *rest = task.prompt(example)
    return ChatRow(
        id=row_id,
        prompt=(system, *shown, *rest),
        completion=(task.completion(example),),
        tools=task.tools or None,
    )


def _tokens(answer: Message) -> int:
    spare = _SPARE_TOKENS_OF_A_CALL if answer.tool_calls else _SPARE_TOKENS
    return len(answer.answer.encode("utf-8", "surrogatepass")) // _BYTES_A_TOKEN + spare


def _seed_of(folder: Path, seed: int | None) -> int:
    """The seed of a training; where none is set, one drawn for its folder, with which it goes on after a kill."""
    if seed is not None:
        return seed
    drawn = folder / "seed"
    if not drawn.is_file():
        write_text(drawn, str(secrets.randbits(31)))
    return int(drawn.read_text(encoding="utf-8"))


def _identity(folder: Path) -> list[tuple[str, int, str]]:
    """What tells one version of a folder of weights from another, on any machine: its files, by size and last bytes.

    Weights of one shape have files of one size, and the last tensor of each differs as soon as they were trained. An
    adapter's settings hold a path of the machine that trained it; what they say else stands in those of the training.
    """
    files = [path for path in folder.iterdir() if path.is_file() and path.name != ADAPTER_SETTINGS]
    return sorted((path.name, path.stat().st_size, _end(path)) for path in files)


def _end(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _BYTES_LOOKED_AT))
        return hashlib.sha256(file.read()).hexdigest()
