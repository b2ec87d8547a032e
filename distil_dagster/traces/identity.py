"""When two examples ask the same: letter case, punctuation and spacing tell no questions apart."""

from __future__ import annotations

import re

from distil_dagster.data.examples import Example
from distil_dagster.tasks.base import Task

_WORD = re.compile(r"\w+")


def example_key(example: Example) -> str:
    """What is asked: all user turns before the answer, and the context where there is one. Equal keys ask the same."""
    said = [text_key(message.content) for message in example.prompt if message.role == "user"]
    return "\n".join(said if example.context is None else [text_key(example.context), *said])


def as_read(example: Example, task: Task) -> Example:
    """The example without a context that its task shows to no student: files carry such columns for their readers."""
    return example if task.context_use == "shown" else example.model_copy(update={"context": None})


def text_key(text: str) -> str:
    """The key of an example with this one user turn and no context."""
    return " ".join(_WORD.findall(text.casefold()))
