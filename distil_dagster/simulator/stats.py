"""Counts of what the simulated provider was asked and how it answered."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from threading import Lock
from typing import Any, Literal

Outcome = Literal["answered", "cut", "garbled", "refused", "no_slot", "failed", "abandoned", "invalid"]
BILLED: frozenset[Outcome] = frozenset({"answered", "cut", "garbled"})


class Stats:
    """Counts requests by role, model, outcome and body; safe to read from another thread.

    A body is "answered" when its answer would be billed, so cut and garbled answers count. Requests whose client left
    before the answer are "abandoned". The file, if one is given, holds the counts after every change.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._lock = Lock()
        self._roles: Counter[str] = Counter()
        self._models: Counter[str] = Counter()
        self._outcomes: Counter[Outcome] = Counter()
        self._asked: Counter[str] = Counter()
        self._answered: Counter[str] = Counter()
        self._tokens = Counter({"prompt": 0, "completion": 0})
        self._in_flight = 0
        self._most_in_flight = 0

    @property
    def in_flight(self) -> int:
        """Requests that have arrived and are neither answered nor refused yet."""
        return self._in_flight

    def arrived(self, role: str, model: str, digest: str) -> int:
        """Count a request; gives how many times its body has been asked, this time included."""
        with self._lock:
            self._roles[role] += 1
            self._models[model] += 1
            self._asked[digest] += 1
            self._in_flight += 1
            self._most_in_flight = max(self._most_in_flight, self._in_flight)
            attempt = self._asked[digest]
        self._write()
        return attempt

    def left(self, outcome: Outcome, digest: str, prompt_tokens: int = 0, completion_tokens: int = 0) -> None:
        """Count how a request that had arrived ended."""
        with self._lock:
            self._in_flight -= 1
            self._outcomes[outcome] += 1
            if outcome in BILLED:
                self._answered[digest] += 1
                self._tokens.update(prompt=prompt_tokens, completion=completion_tokens)
        self._write()

    def snapshot(self) -> dict[str, Any]:
        """All counts, ready for JSON."""
        with self._lock:
            return {
                "requests": self._roles.total(),
                "in_flight": self._in_flight,
                "most_in_flight": self._most_in_flight,
                "by_role": dict(self._roles),
                "by_model": dict(self._models),
                "by_outcome": dict(self._outcomes),
                "bodies": {
                    "distinct": len(self._asked),
                    "asked_more_than_once": _more_than_once(self._asked),
                    "answered_more_than_once": _more_than_once(self._answered),
                },
                "tokens": dict(self._tokens),
            }

    def _write(self) -> None:
        if self._file is None:
            return
        aside = self._file.with_name(self._file.name + ".part")
        aside.write_text(json.dumps(self.snapshot(), indent=1) + "\n", encoding="utf-8")
        aside.replace(self._file)


def _more_than_once(counts: Counter[str]) -> int:
    return sum(count > 1 for count in counts.values())
