"""How fast many rows are answered, beside a loop over the rows with plain `model.generate`, in the same minutes.

Both answer greedily with the same weights in the same number format. Each run is a process of its own, in turns,
`--rounds` times; the fastest of each counts, without loading, and the ratio is what says something: absolute figures
say more about the machine. Tokens are those written. The answers are compared token by token; the last column counts
rows that differ.

    python benchmarks/prediction.py --rows 48
    python benchmarks/prediction.py --shape qwen3-0.6b --rows 500 --max-new-tokens 128
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import material

from distil_dagster.training.job import PredictJob
from distil_dagster.training.rows import ChatRow, read_rows, write_rows


@dataclass(frozen=True)
class Measured:
    """One run: seconds without loading, the ids written for each row, the process's peak in megabytes."""

    seconds: float
    answers: list[list[int]]
    megabytes: float

    @property
    def tokens(self) -> int:
        """How many tokens were written."""
        return sum(map(len, self.answers))


def answer_ours(job: PredictJob) -> Measured:
    """Answer as `training.predict` does without vLLM."""
    from distil_dagster.training.predict import Generator, batches_by_length, stop_ids

    chat, model, prompts = _loaded(job)
    generator = Generator(model, chat.pad_id, stop_ids(model, chat), prompts, job.max_new_tokens)
    answers: dict[int, list[int]] = {}
    started = time.perf_counter()
    for batch in batches_by_length(prompts, job.batch_size, job.max_new_tokens):
        answers.update(zip(batch, generator.answer(batch), strict=True))
    seconds = time.perf_counter() - started
    return Measured(seconds, [answers[at] for at in range(len(prompts))], material.peak_megabytes())


def answer_plain(job: PredictJob) -> Measured:
    """Answer row by row with `model.generate`."""
    import torch

    from distil_dagster.training.predict import stop_ids

    chat, model, prompts = _loaded(job)
    stops = sorted(stop_ids(model, chat))
    answers = []
    started = time.perf_counter()
    for prompt in prompts:
        ids = torch.tensor([prompt], device=model.device)
        written = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=job.max_new_tokens,
            eos_token_id=stops,
            pad_token_id=chat.pad_id,
        )
        answers.append(written[0, len(prompt) :].tolist())
    return Measured(time.perf_counter() - started, answers, material.peak_megabytes())


def _loaded(job: PredictJob) -> tuple[Any, Any, list[list[int]]]:
    from distil_dagster.training.formatting import load_chat_format
    from distil_dagster.training.models import load_answering

    chat = load_chat_format(job.model)
    return chat, load_answering(job.model, job.adapter), [chat.prompt_ids(row) for row in read_rows(job.rows, ChatRow)]


def line(kind: str, ours: Measured, plain: Measured) -> str:
    """A line of the table."""
    differing = sum(one != other for one, other in zip(ours.answers, plain.answers, strict=True))
    cells = [
        kind,
        f"{len(ours.answers) / ours.seconds:.2f}",
        f"{len(plain.answers) / plain.seconds:.2f}",
        f"{ours.tokens / ours.seconds:.1f}",
        f"{plain.tokens / plain.seconds:.1f}",
        f"{plain.seconds / ours.seconds:.2f}",
        f"{ours.megabytes:.0f}",
        f"{plain.megabytes:.0f}",
        f"{differing} of {len(ours.answers)}",
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    material.add_student_options(parser)
    parser.add_argument("--adapter", type=Path, help="an adapter of the student, as training writes it")
    parser.add_argument("--rows", type=int, default=48)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--max-new-tokens", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--kinds", nargs="+", choices=material.KINDS, default=list(material.KINDS))
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print(
        "| rows | rows/s, ours | rows/s, plain | tokens/s, ours | tokens/s, plain | ratio | MB, ours | MB, plain "
        "| differing |"
    )
    print("|" + "---|" * 9)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        student = material.student_folder(arguments.model, arguments.shape, folder)
        for kind in arguments.kinds:
            write_rows(folder / "rows.jsonl", material.KINDS[kind](arguments.rows, arguments.seed))
            job = PredictJob(
                model=student,
                adapter=arguments.adapter,
                rows=folder / "rows.jsonl",
                output=folder / "written.jsonl",
                max_new_tokens=arguments.max_new_tokens,
                batch_size=arguments.batch_size,
            )
            runs = [
                [material.in_process_of_its_own(work, job) for work in (answer_ours, answer_plain)]
                for _ in range(arguments.rounds)
            ]
            ours, plain = (min(found, key=lambda one: one.seconds) for found in zip(*runs, strict=True))
            print(line(kind, ours, plain), flush=True)


if __name__ == "__main__":
    main()
