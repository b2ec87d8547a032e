"""How fast supervised fine-tuning is, and how much memory it needs, beside a plain TRL script in the same minutes.

Both train the same rows, given as the same token ids, with the same settings: LoRA, batch size, number format,
attention, loss on the answers alone, one epoch with a held-out loss at its end. Each run is a process of its own, in
turns, `--rounds` times; the fastest of each counts, and the ratio of the two is what says something: absolute figures
say more about the machine. Tokens are the rows' own, prompt included and padding left out. The held-out losses are
printed since they must be alike. On GPUs, the share of the limit is that of a large bfloat16 matrix product measured in
the same run; a token is counted as 4 N operations with LoRA (forward, and backward through frozen weights) and 6 N
without, for N parameters of the student, attention left out.

    python benchmarks/sft.py --rows 48 --batch-size 8
    python benchmarks/sft.py --shape qwen3-0.6b --rows 2000 --batch-size 16 --qlora
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import material

from distil_dagster.config.sections import Tuning
from distil_dagster.training.job import SftJob
from distil_dagster.training.rows import ChatRow, read_rows, write_rows

LIMIT_SIZE = 8192
LIMIT_REPEATS = 20


@dataclass(frozen=True)
class Measured:
    """One training: seconds, the rows' tokens, the process's peak in megabytes, held-out loss, parameters."""

    seconds: float
    tokens: int
    megabytes: float
    held_out_loss: float
    parameters: int

    @property
    def speed(self) -> float:
        """Tokens a second."""
        return self.tokens / self.seconds


def train_ours(job: SftJob) -> Measured:
    """Train by `training.sft`, in this process."""
    from distil_dagster.training.reporting import PrintedReport
    from distil_dagster.training.sft import train

    summary = train(job, PrintedReport())
    return _measured(job, summary.seconds, summary.best_eval_loss or 0.0)


def train_plain(job: SftJob) -> Measured:
    """Train by the script that one would write with TRL alone, in this process."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM
    from trl import SFTConfig, SFTTrainer

    from distil_dagster.training.formatting import load_chat_format

    tuning, chat = job.tuning, load_chat_format(job.student)

    def data_set(path: Path) -> Dataset:
        rows = [chat.training_row(row) for row in read_rows(path, ChatRow)]
        return Dataset.from_dict({"input_ids": [row.input_ids for row in rows], "labels": [row.labels for row in rows]})

    lora = LoraConfig(
        r=tuning.lora_r,
        lora_alpha=tuning.lora_r * tuning.lora_alpha_multiplier,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(job.student, attn_implementation="sdpa", **_loading(tuning)),
        args=SFTConfig(
            output_dir=str(job.checkpoints),
            learning_rate=tuning.learning_rate,
            lr_scheduler_type=tuning.learning_rate_scheduler,
            warmup_steps=tuning.warmup_ratio,
            weight_decay=tuning.weight_decay,
            num_train_epochs=tuning.num_train_epochs,
            per_device_train_batch_size=tuning.per_device_train_batch_size,
            per_device_eval_batch_size=tuning.per_device_eval_batch_size,
            bf16=tuning.bf16,
            gradient_checkpointing=tuning.memory_optimized_training,
            activation_offloading=tuning.memory_optimized_training and torch.cuda.is_available(),
            max_length=None,
            eval_strategy="epoch",
            save_strategy="epoch",
            logging_steps=1,
            seed=job.seed,
            report_to="none",
            disable_tqdm=True,
            use_cpu=not torch.cuda.is_available(),
            dataloader_pin_memory=torch.cuda.is_available(),
        ),
        train_dataset=data_set(job.train_rows),
        eval_dataset=data_set(job.eval_rows),
        processing_class=chat.tokenizer,
        peft_config=lora if tuning.use_lora else None,
    )
    started = time.monotonic()
    trainer.train()
    seconds = time.monotonic() - started
    losses = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    return _measured(job, seconds, losses[-1])


def _loading(tuning: Tuning) -> dict[str, Any]:
    import torch
    from transformers import BitsAndBytesConfig

    if tuning.use_qlora:
        quantization = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
        return {"quantization_config": quantization, "device_map": {"": 0}}
    return {"dtype": torch.bfloat16 if tuning.use_lora and tuning.bf16 else torch.float32}


def _measured(job: SftJob, seconds: float, held_out_loss: float) -> Measured:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from distil_dagster.training.formatting import load_chat_format

    megabytes = material.peak_megabytes()
    chat = load_chat_format(job.student)
    tokens = sum(len(chat.training_row(row).input_ids) for row in read_rows(job.train_rows, ChatRow))
    with torch.device("meta"):
        bare = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(job.student))
    parameters = sum(weight.numel() for weight in bare.parameters())
    return Measured(seconds, tokens * job.tuning.num_train_epochs, megabytes, held_out_loss, parameters)


def operations_limit() -> float | None:
    """Operations a second of a large bfloat16 matrix product on the GPU; none without one."""
    import torch

    if not torch.cuda.is_available():
        return None
    one = torch.randn(LIMIT_SIZE, LIMIT_SIZE, device="cuda", dtype=torch.bfloat16)
    for _ in range(3):
        one @ one
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(LIMIT_REPEATS):
        one @ one
    torch.cuda.synchronize()
    return LIMIT_REPEATS * 2 * LIMIT_SIZE**3 / (time.perf_counter() - started)


def compare(job: SftJob, folder: Path, rounds: int) -> tuple[Measured, Measured]:
    """The fastest of our runs and of the plain script's, in turns."""
    runs: dict[Any, list[Measured]] = {train_ours: [], train_plain: []}
    for number in range(rounds):
        for work, found in runs.items():
            place = folder / f"{work.__name__}-{number}"
            fresh = job.model_copy(update={"output": place / "output", "checkpoints": place / "checkpoints"})
            found.append(material.in_process_of_its_own(work, fresh))
    ours, plain = (min(found, key=lambda one: one.seconds) for found in runs.values())
    return ours, plain


def line(kind: str, ours: Measured, plain: Measured, limit: float | None, operations: int) -> str:
    """A line of the table."""
    cells = [
        kind,
        f"{ours.speed:.0f}",
        f"{plain.speed:.0f}",
        f"{ours.speed / plain.speed:.2f}",
        f"{ours.megabytes:.0f}",
        f"{plain.megabytes:.0f}",
        f"{ours.held_out_loss:.3f}",
        f"{plain.held_out_loss:.3f}",
    ]
    if limit:
        cells += [f"{one.speed * operations * one.parameters / limit:.1%}" for one in (ours, plain)]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    material.add_student_options(parser)
    parser.add_argument("--rows", type=int, default=48)
    parser.add_argument("--held-out", type=int, default=8, help="rows that the loss is measured on")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--kinds", nargs="+", choices=material.KINDS, default=list(material.KINDS))
    parser.add_argument("--qlora", action="store_true", help="the base in 4 bits; NVIDIA GPUs")
    parser.add_argument("--full", action="store_true", help="train all weights, without LoRA")
    parser.add_argument("--memory-optimised", action="store_true", help="tuning.memory_optimized_training")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    tuning = Tuning(
        use_lora=not arguments.full,
        use_qlora=arguments.qlora,
        memory_optimized_training=arguments.memory_optimised,
        per_device_train_batch_size=arguments.batch_size,
        per_device_eval_batch_size=arguments.batch_size,
        num_train_epochs=1,
    )
    limit = material.in_process_of_its_own(operations_limit)
    shares = " share of limit, ours | share of limit, TRL |" if limit else ""
    print(f"| rows | tokens/s, ours | tokens/s, TRL | ratio | MB, ours | MB, TRL | loss, ours | loss, TRL |{shares}")
    print("|" + "---|" * (10 if limit else 8))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        student = material.student_folder(arguments.model, arguments.shape, folder)
        for kind in arguments.kinds:
            rows = list(material.KINDS[kind](arguments.rows + arguments.held_out, arguments.seed))
            write_rows(folder / "train.jsonl", rows[: arguments.rows])
            write_rows(folder / "eval.jsonl", rows[arguments.rows :])
            job = SftJob(
                student=student,
                tuning=tuning,
                seed=arguments.seed,
                train_rows=folder / "train.jsonl",
                eval_rows=folder / "eval.jsonl",
                output=folder / "output",
                checkpoints=folder / "checkpoints",
            )
            ours, plain = compare(job, folder / kind.replace(" ", "-"), arguments.rounds)
            print(line(kind, ours, plain, limit, 6 if arguments.full else 4), flush=True)


if __name__ == "__main__":
    main()
