"""Small trainings: a run's seeds through the real trainers in this process, watched while they compute."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from distil_dagster.job import Job
from distil_dagster.traces.seeds import SeedData
from distil_dagster.training.curve import FILE_NAME, CurvePoint
from distil_dagster.training.job import GrpoJob, SftJob
from distil_dagster.training.preparing import (
    held_out_examples,
    prepare_rlvr,
    prepare_sft,
    split_for_rlvr,
    student_shots,
)
from distil_dagster.training.rows import read_rows
from distil_dagster.training.weights import student_weights


@dataclass(frozen=True)
class Pass:
    """One forward pass of the whole model: how many rows it had, and whether it was one of training."""

    rows: int
    is_training: bool


@dataclass
class Watched:
    """What a training's models did: their passes, and the bytes that were kept for all backward passes together.

    `layer_formats` are the number formats that the weights of linear layers were held in, but those of the adapter;
    `layer_bytes` their size. `trained_formats` are those of the weights that were trained. `computed_in` are the
    formats of the results.
    """

    passes: list[Pass] = field(default_factory=list)
    kept_bytes: int = 0
    layer_formats: set[str] = field(default_factory=set)
    layer_bytes: int = 0
    trained_formats: set[str] = field(default_factory=set)
    computed_in: set[str] = field(default_factory=set)

    def rows_a_pass(self, *, is_training: bool) -> list[int]:
        """The rows of each pass of training, or of those of evaluation."""
        return [seen.rows for seen in self.passes if seen.is_training == is_training]


@dataclass(frozen=True)
class Training:
    """A training that is over, the way it went, and what came of it."""

    job: SftJob | GrpoJob
    summary: Any
    watched: Watched

    @property
    def curve(self) -> list[CurvePoint]:
        return read_rows(self.job.output / FILE_NAME, CurvePoint)

    @property
    def losses(self) -> list[float]:
        """The training loss of each step."""
        return [point.loss for point in self.curve if point.loss is not None]

    @property
    def rates(self) -> list[float]:
        """The learning rate of each step."""
        return [point.learning_rate for point in self.curve if point.learning_rate is not None]

    @property
    def files(self) -> set[str]:
        return {path.name for path in self.job.output.iterdir()}

    @property
    def adapter_settings(self) -> dict[str, Any]:
        return json.loads((self.job.output / "adapter_config.json").read_text(encoding="utf-8"))

    @cached_property
    def weights(self) -> dict[str, Any]:
        """The tensors that training wrote, those of the adapter or of the whole model."""
        from safetensors.torch import load_file

        (path,) = self.job.output.glob("*.safetensors")
        return load_file(path)


class Silent:
    """A report for no one."""

    def measured(self, values: object) -> None:
        pass

    def failed(self, text: str) -> None:
        raise AssertionError(text)


def prepared_sft(job: Job, seeds: SeedData, work: Path) -> SftJob:
    """The fine-tuning of the job's student on those seeds that are not kept for reinforcement learning."""
    examples, _ = _parts(job, seeds)
    weights = student_weights(job.config.base.student_model_name, job.students)
    return prepare_sft(job, examples, weights, work / "sft", student_shots(job, seeds.train))


def tuned(job: Job, seeds: SeedData, work: Path) -> Training:
    """The student after fine-tuning on the seeds."""
    from distil_dagster.training.sft import train

    training = prepared_sft(job, seeds, work)
    with watching() as watched:
        return Training(training, train(training, Silent()), watched)


def reinforced(job: Job, seeds: SeedData, before: SftJob, journal: Path, work: Path) -> Training | None:
    """The tuned student after reinforcement learning on the seeds that are kept for it; None where there are none."""
    from distil_dagster.training.grpo import train

    examples, kept = _parts(job, seeds)
    if not kept:
        return None
    model_and_adapter = (before.student, before.output) if job.config.tuning.use_lora else (before.output, None)
    shots, held_out = student_shots(job, seeds.train), held_out_examples(job, examples)
    training = prepare_rlvr(job, kept, held_out, model_and_adapter, journal, work / "rlvr", shots)
    with watching() as watched:
        return Training(training, train(training, Silent()), watched)


def _parts(job: Job, seeds: SeedData) -> tuple[list, list]:
    """What fine-tuning and what reinforcement learning trains on."""
    return split_for_rlvr(seeds.train, job.config.tuning.rlvr_dataset_size, job.config.base.random_seed)


@contextmanager
def watching() -> Iterator[Watched]:
    """Watch all models of this process."""
    from torch.autograd.graph import saved_tensors_hooks
    from torch.nn import Linear
    from torch.nn.modules.module import register_module_forward_hook
    from transformers import GenerationMixin

    watched = Watched()

    def after_a_module(module: Any, _positional: Any, given: Any, result: Any) -> None:
        if isinstance(module, Linear):
            watched.computed_in.add(str(result.dtype))
        # What all rows begin with is computed in a pass of its own, of which one place is asked for.
        if isinstance(module, GenerationMixin) and given.get("logits_to_keep") != 1:
            watched.passes.append(Pass(len(given["input_ids"]), module.training))
            _note_formats(watched, module)

    def keep(tensor: Any) -> Any:
        watched.kept_bytes += tensor.numel() * tensor.element_size()
        return tensor

    handle = register_module_forward_hook(after_a_module, with_kwargs=True)
    try:
        with saved_tensors_hooks(keep, lambda tensor: tensor):
            yield watched
    finally:
        handle.remove()


def _note_formats(watched: Watched, model: Any) -> None:
    if watched.layer_formats:
        return
    layers = [weight for name, weight in model.named_parameters() if "_proj" in name and "lora" not in name]
    watched.layer_formats = {str(weight.dtype) for weight in layers}
    watched.layer_bytes = sum(weight.numel() * weight.element_size() for weight in layers)
    watched.trained_formats = {str(weight.dtype) for weight in model.parameters() if weight.requires_grad}
