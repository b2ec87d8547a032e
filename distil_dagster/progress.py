"""Steady lines about long work: how much is done, how fast, what it cost, how long it will take.

One mechanism for both faces: the lines go to the package's logger, which Dagster shows in the run's log and the command
line prints to the terminal.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

log = logging.getLogger("distil_dagster")


@dataclass
class Progress:
    """Counts the items of one phase and logs a line at most every `every_seconds`.

    `spend` gives the phase's price so far in US dollars; a phase without paid requests has none.
    """

    phase: str
    total: int
    unit: str = "items"
    every_seconds: float = 5.0
    spend: Callable[[], float] | None = None
    done: int = 0
    _started: float = field(default_factory=time.monotonic)
    _last_line: float = field(default_factory=time.monotonic)

    def advance(self, count: int = 1) -> None:
        """Count `count` more items as done; log a line when it is time for one, and always at the end."""
        self.done += count
        now = time.monotonic()
        finished = self.done >= self.total and count > 0
        if finished or now - self._last_line >= self.every_seconds:
            self._last_line = now
            log.info("%s", self.line(now - self._started))

    def line(self, elapsed: float) -> str:
        """The line to show after `elapsed` seconds."""
        rate = self.done / elapsed if elapsed > 0 else 0.0
        parts = [f"{self.phase}: {self.done}/{self.total} {self.unit}", f"{rate:.1f}/s"]
        if self.spend is not None:
            parts.append(f"${self.spend():.4f} spent")
        if rate and self.done < self.total:
            parts.append(f"{clock((self.total - self.done) / rate)} left")
        return ", ".join(parts)


def clock(seconds: float) -> str:
    """Seconds as `m:ss` or `h:mm:ss`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
