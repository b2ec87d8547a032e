"""Seeded changes of wording: many ways to ask the same question."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from distil_dagster.simulator.sentences import capitalised, sentences

_FILE = Path(__file__).with_name("wording.yaml")
# A share below one half keeps most words, so that the wording stays natural.
_SYNONYM_SHARE = 0.4
_REORDER_SHARE = 0.3
_OPENER_SHARE = 0.85
_CLOSER_SHARE = 0.7
# Share of words in order, above which a text is no new wording.
_SAME_WORDING = 0.9
_FRESH_TRIES = 8
_TRIES = 20


@dataclass(frozen=True)
class Wording:
    """Phrases to put around a question and pairs of words that may stand for each other."""

    openers: tuple[str, ...]
    closers: tuple[str, ...]
    synonyms: tuple[tuple[str, str], ...]


@lru_cache(maxsize=1)
def default_wording() -> Wording:
    """The package's own phrases, fit for customers' questions of any trade."""
    return _wording("customers")


@lru_cache(maxsize=1)
def plain_wording() -> Wording:
    """Phrases that name no time, place or person, so that they change neither an answer nor a call's arguments."""
    return _wording("plain")


@lru_cache(maxsize=1)
def phrases() -> Mapping[str, Any]:
    """The package's table of phrases."""
    import yaml

    table: dict[str, Any] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return table


def clearly_reworded(text: str, random: Random, wording: Wording, kept: Collection[str] = ()) -> str:
    """The text in words that differ enough to make another example of it; those of `kept` that it holds stay."""
    from rapidfuzz.distance import Indel

    if not text.strip():
        return text
    held = [phrase for phrase in kept if phrase in text]
    words, candidate = text.casefold().split(), text
    for attempt in range(_TRIES):
        # What stays too much alike, as long texts do, is reworded on top of the last wording.
        again = reworded(text if attempt < _FRESH_TRIES else candidate, random, wording)
        if all(phrase in again for phrase in held):
            candidate = again
        if Indel.normalized_similarity(words, candidate.casefold().split()) < _SAME_WORDING:
            break
    return candidate


def reworded(question: str, random: Random, wording: Wording | None = None) -> str:
    """The question in other words; what it asks for stays."""
    used = wording or default_wording()
    core = _with_synonyms(question.strip(), random, used)
    parts = sentences(core)
    if len(parts) > 1 and random.random() < _REORDER_SHARE:
        random.shuffle(parts)
    if random.random() < _OPENER_SHARE:
        parts.insert(0, random.choice(used.openers))
    if random.random() < _CLOSER_SHARE:
        parts[-1] = _ended(parts[-1])
        parts.append(random.choice(used.closers))
    return " ".join(parts)


def _wording(name: str) -> Wording:
    table = phrases()
    return Wording(
        openers=tuple(table[name]["openers"]),
        closers=tuple(table[name]["closers"]),
        synonyms=tuple((one, other) for one, other in table["synonyms"]),
    )


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
