"""Seeded changes of wording: many ways to ask the same question."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random

from distil_dagster.simulator.sentences import capitalised, sentences

_FILE = Path(__file__).with_name("wording.yaml")
# A share below one half keeps most words, so that the wording stays natural.
_SYNONYM_SHARE = 0.4
_REORDER_SHARE = 0.3
_OPENER_SHARE = 0.85
_CLOSER_SHARE = 0.7


@dataclass(frozen=True)
class Wording:
    """Phrases to put around a question and pairs of words that may stand for each other."""

    openers: tuple[str, ...]
    closers: tuple[str, ...]
    synonyms: tuple[tuple[str, str], ...]


@lru_cache(maxsize=1)
def default_wording() -> Wording:
    """The package's own phrases, fit for customers' questions of any trade."""
    import yaml

    table = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return Wording(
        openers=tuple(table["openers"]),
        closers=tuple(table["closers"]),
        synonyms=tuple((one, other) for one, other in table["synonyms"]),
    )


def reworded(question: str, random: Random, wording: Wording | None = None) -> str:
    """The question in other words; what it asks for stays."""
    phrases = wording or default_wording()
    core = _with_synonyms(question.strip(), random, phrases)
    parts = sentences(core)
    if len(parts) > 1 and random.random() < _REORDER_SHARE:
        random.shuffle(parts)
    if random.random() < _OPENER_SHARE:
        parts.insert(0, random.choice(phrases.openers))
    if random.random() < _CLOSER_SHARE:
        parts[-1] = _ended(parts[-1])
        parts.append(random.choice(phrases.closers))
    return " ".join(parts)


def _with_synonyms(text: str, random: Random, wording: Wording) -> str:
    for pair in wording.synonyms:
        if random.random() >= _SYNONYM_SHARE:
            continue
        for old, new in (pair, pair[::-1]):
            changed = _replaced(text, old, new)
            if changed != text:
                text = changed
                break
    return text


def _replaced(text: str, old: str, new: str) -> str:
    def kept_case(match: re.Match[str]) -> str:
        return capitalised(new) if match[0][0].isupper() else new

    return re.sub(rf"\b{re.escape(old)}(?!\w)", kept_case, text, count=1, flags=re.IGNORECASE)


def _ended(sentence: str) -> str:
    return sentence if sentence[-1:] in ".!?:" else f"{sentence}."
