"""One generation call: what it asks for, what it shows, and the request made of both."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from distil_dagster.config.sections import Synthgen
from distil_dagster.data.messages import Message
from distil_dagster.llm.requests import Request
from distil_dagster.synthesis.balance import Subject
from distil_dagster.synthesis.exemplars import ExemplarPool, Exemplars
from distil_dagster.synthesis.mutators import draw_guidelines
from distil_dagster.tasks.base import GenerationRequest, Shown, Task


@dataclass(frozen=True)
class Call:
    """One generation call and what it was made of."""

    subject: Subject
    wanted: GenerationRequest
    exemplars: Exemplars
    guidelines: tuple[tuple[str, str], ...]
    request: Request


class CallWriter:
    """Writes generation calls; each has a sample number of its own, so that equal prompts are answered anew."""

    def __init__(self, task: Task, pool: ExemplarPool, settings: Synthgen, teacher: str, random: Random) -> None:
        self._task = task
        self._pool = pool
        self._settings = settings
        self._teacher = teacher
        self._random = random
        self._written = 0

    def write(self, subject: Subject, count: int) -> Call:
        """A call for `count` examples of a subject."""
        settings = self._settings
        wanted = GenerationRequest(count, subject.label, subject.context.text if subject.context else None)
        exemplars = self._pool.draw(subject, settings, self._random)
        guidelines = tuple(draw_guidelines(settings.basic_mutators_to_use, settings.mutation_topics, self._random))
        texts = [row.text for row in exemplars.unlabelled if row.text.strip()]
        shown = Shown(exemplars.positives, exemplars.negatives, texts, guidelines)
        message = Message(
            role="user", content=self._task.generation_prompt(wanted, shown), images=self._images(subject, exemplars)
        )
        request = Request(
            self._teacher,
            (message.as_openai(),),
            schema=self._task.generated_schema(wanted),
            schema_name="generated_examples",
            temperature=settings.teacher_temperature,
            max_tokens=settings.teacher_max_tokens,
            sample=self._written,
        )
        self._written += 1
        return Call(subject, wanted, exemplars, guidelines, request)

    def _images(self, subject: Subject, exemplars: Exemplars) -> tuple[str, ...]:
        """The images of what the call is about: of its context, or of the unlabelled texts where it has none.

        None where the student is shown the context, as it reads its text alone and the answer must not rest on more.
        """
        if subject.context is None:
            return tuple(image for row in exemplars.unlabelled for image in row.images)
        return subject.context.images if self._task.context_use == "source" else ()
