"""Closed-book question answering: the student answers from what it learned, and sees no passage."""

from __future__ import annotations

from collections.abc import Sequence

from distil_dagster.data.messages import Message
from distil_dagster.tasks.base import ContextUse
from distil_dagster.tasks.text_task import TextTask


class ClosedBookQuestionAnswering(TextTask):
    """The closed-book task of one job description; its knowledge is that of the contexts it generates from."""

    name = "question-answering-closed-book"
    context_use: ContextUse = "source"
    generation_template = "closed_book"

    def unlabelled_text(self, messages: Sequence[Message]) -> str | None:  # noqa: ARG002 - the protocol's signature
        """None: what a user asks holds no knowledge to generate from."""
        return None
