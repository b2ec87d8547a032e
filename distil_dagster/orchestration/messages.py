"""Messages of the training program to Dagster, through a file.

Dagster's own readers of a file take what stands at its end for a line, even where the other process is just writing
it; at the first half of a line they stop for good, and a long training goes on without a word.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from dagster_pipes import PipesDefaultMessageWriter, PipesParams

_LOOK_EVERY = 0.05


class WholeLines(dg.PipesMessageReader):
    """Reads messages from the lines of a file, each once it is whole; the file is removed in the end."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def read_messages(self, handler: dg.PipesMessageHandler) -> Iterator[PipesParams]:
        """Read in a thread for as long as the block lasts, and then to the end of the file."""
        self._path.write_bytes(b"")
        ended = threading.Event()
        thread = threading.Thread(target=self._read, args=(handler, ended.is_set), daemon=True)
        thread.start()
        try:
            yield {
                PipesDefaultMessageWriter.FILE_PATH_KEY: str(self._path),
                PipesDefaultMessageWriter.INCLUDE_STDIO_IN_MESSAGES_KEY: False,
            }
        finally:
            ended.set()
            thread.join()
            self._path.unlink()

    def no_messages_debug_text(self) -> str:
        """Where messages were looked for."""
        return f"Attempted to read messages from file {self._path}."

    def _read(self, handler: dg.PipesMessageHandler, has_ended: Callable[[], bool]) -> None:
        for line in whole_lines(self._path, has_ended):
            handler.handle_message(json.loads(line))


def whole_lines(path: Path, has_ended: Callable[[], bool]) -> Iterator[bytes]:
    """The lines of a file that is being written; half a line at its end, once the writing has ended, is left out."""
    with path.open("rb") as file:
        line = b""
        while True:
            # Asked first: what was written before the end must still be read.
            ended = has_ended()
            more = file.readline()
            line += more
            if line.endswith(b"\n"):
                yield line
                line = b""
            elif not more and ended:
                return
            elif not more:
                time.sleep(_LOOK_EVERY)
