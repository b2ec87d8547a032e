"""The README of the delivered folder: what the model is for, how good it is, how to serve and ask it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_TEMPLATES = Path(__file__).parent / "templates"
# Those of the students' licences that the Hub knows; it refuses a card with another name in that place.
_HUB_LICENCES = ("apache-2.0", "gemma", "llama3.1", "llama3.2")


@dataclass(frozen=True)
class CardFacts:
    """What is said of the model. `figures` is Markdown from the evaluation's report, taken as it is.

    `primary_metric_reason` says why that metric decides, as what follows "because". `tool_parser` is the name under
    which vLLM parses the student's calls of tools; none for models without tools.
    """

    student: str
    hub_id: str
    licence: str
    teacher: str
    task: str
    task_description: str
    figures: str
    primary_metric: str
    primary_metric_reason: str
    tool_parser: str | None = None
    notice: str = ""


def model_card(
    name: str, facts: CardFacts, *, has_adapter: bool, has_shots: bool = False, asks_with_context: bool = False
) -> str:
    """The card's Markdown."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown
    )
    template = environment.get_template("README.md.j2")
    return template.render(
        name=name,
        facts=facts,
        has_adapter=has_adapter,
        has_shots=has_shots,
        asks_with_context=asks_with_context,
        hub_licences=_HUB_LICENCES,
    )
