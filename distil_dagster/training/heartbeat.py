"""No long silence: loading a large student or one slow step takes minutes, and a person wants to know what goes on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from distil_dagster.progress import clock

log = logging.getLogger("distil_dagster")

SILENCE_SECONDS = 10.0
_SIGN = "%s since: %s"


class _LastLine(logging.Handler):
    """Remembers when the last line was said, and the last one that was no sign of life."""

    def __init__(self) -> None:
        super().__init__()
        self.said_at = self.news_at = time.monotonic()
        self.news = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.said_at = time.monotonic()
        if record.msg != _SIGN:
            self.news, self.news_at = record.getMessage(), self.said_at


@contextmanager
def signs_of_life(every_seconds: float = SILENCE_SECONDS) -> Iterator[None]:
    """Say after every so many seconds of silence how long the work has gone on since the last line."""
    last, ended = _LastLine(), threading.Event()
    log.addHandler(last)
    thread = threading.Thread(target=_watch, args=(last, ended, every_seconds), name="signs of life", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        log.removeHandler(last)


def _watch(last: _LastLine, ended: threading.Event, every_seconds: float) -> None:
    while not ended.wait(max(0.0, last.said_at + every_seconds - time.monotonic())):
        now = time.monotonic()
        if now - last.said_at >= every_seconds:
            log.info(_SIGN, clock(now - last.news_at), last.news)
