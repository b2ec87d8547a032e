"""The rule table of a routing job: what decides, and the wording to compose mails of."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from distil_dagster.data.messages import Frozen
from distil_dagster.errors import DataError

Phrases = tuple[str, ...]
Shape = Literal["plain", "with_dismissed", "with_consequence", "with_dismissed_and_consequence"]


class Shapes(Frozen):
    """Relative weights of the ways to build a mail, by what decides it."""

    problem: dict[Shape, float]
    want: dict[Shape, float]


class Rules(Frozen):
    """A rule file, as it stands; its own comments say what each part is for.

    Phrases may hold slots such as `{product}`, whose values `slots` lists.
    """

    system_prompt: str
    precedence: Phrases = Field(min_length=2)
    slots: dict[str, Phrases]
    problems: dict[str, Phrases]
    wants: dict[str, Phrases]
    consequence_wants: dict[str, Phrases]
    open_frames: Phrases
    want_frames: Phrases
    consequence_frames: Phrases
    dismissed_frames: Phrases
    dismissing_marks: Phrases
    shapes: Shapes
    class_weights: dict[str, float]
    greetings: Phrases
    asides: Phrases
    denials: dict[str, Phrases]
    requests: Phrases
    closings: Phrases
    contractions: dict[str, str]
    irrelevant: Phrases


def read_rules(path: Path) -> Rules:
    """Read a rule file.

    Raises:
        DataError: the file is missing, is not YAML, or lacks a part.
    """
    import yaml

    try:
        return Rules.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise DataError(f"{path}: missing") from None
    except yaml.YAMLError as error:
        raise DataError(f"{path}: not valid YAML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
